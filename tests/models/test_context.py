"""A clip divided over two processes: the output and the gradients of one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vidcm.models.video_dit import VideoDiT

SIZES = {"latent_channels": 4, "condition_channels": 3, "dim": 16, "depth": 2, "heads": 2, "mlp_ratio": 2}
KINDS = {"ends": {"end_channels": 3}, "text": {"end_channels": 0, "text_channels": 5}}


def network(kind: str) -> VideoDiT:
    """In float64, with nothing silent."""
    torch.manual_seed(0)
    dit = VideoDiT(**SIZES, **KINDS[kind]).double()
    with torch.no_grad():
        for weight in dit.parameters():
            weight.normal_(std=0.3)
    return dit


def call(dit: VideoDiT, kind: str, frames: int) -> torch.Tensor:
    """Of 2 x 3 places; weighted, so that no two outputs have one gradient."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    told = {"condition": draw(2, 3, frames, 2, 3), "tau": draw(2, frames)}
    if kind == "ends":
        told |= {"ends": draw(2, 3, 2, 2, 3), "present": torch.tensor([[1.0, 0.0], [1.0, 1.0]])}
    else:
        told |= {"text": draw(2, 7, 5)}
    made = dit(draw(2, 4, frames, 2, 3), torch.tensor([0.3, 1.2], dtype=torch.float64), **told)
    (made * draw(*made.shape)).square().mean().backward()
    return made.detach()


def result(kind: str, frames: int) -> dict[str, torch.Tensor]:
    dit = network(kind)
    made = call(dit, kind, frames)
    return {"made": made, **{name: weight.grad for name, weight in dit.named_parameters() if weight.grad is not None}}


SCRIPT = """
import importlib.util, sys
import torch
import torch.distributed as distributed
from vidcm.core.errors import UserError
from vidcm.models.context import split_frames

spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
spec.loader.exec_module(cases := importlib.util.module_from_spec(spec))
torch.set_num_threads(1)
distributed.init_process_group("gloo")
found = {}
for kind in cases.KINDS:
    for checkpointing in (False, True):
        dit = cases.network(kind)
        if checkpointing:
            dit.enable_gradient_checkpointing()
        with split_frames(dit, distributed.group.WORLD):
            made = cases.call(dit, kind, 5)
            for weight in dit.parameters():
                if weight.grad is not None:
                    distributed.all_reduce(weight.grad)
                    weight.grad /= 2
            try:
                cases.call(dit, kind, 1)
            except UserError as error:
                said = str(error)
        grads = {name: weight.grad for name, weight in dit.named_parameters() if weight.grad is not None}
        found[kind, checkpointing] = {"made": made, **grads}
        again = cases.network(kind)
        assert cases.call(again, kind, 5).shape == made.shape  # the hooks are gone with the block
torch.save((found, said), sys.argv[2] + str(distributed.get_rank()))
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def of_two(tmp_path_factory) -> list:
    """What each of two processes found."""
    out = tmp_path_factory.mktemp("context") / "rank"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-c", SCRIPT, __file__, str(out)]
    started = [
        subprocess.Popen(command, env={**place, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in (0, 1)
    ]
    for process in started:
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said
    return [torch.load(Path(f"{out}{rank}")) for rank in (0, 1)]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_the_output_and_the_gradients_of_one(of_two, kind, checkpointing):
    """Five frames and six places: one has three frames, the other two. Only the order of sums differs, in float64."""
    expected = result(kind, 5)
    for found, _ in of_two:
        assert found[kind, checkpointing].keys() == expected.keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(found[kind, checkpointing][name], tensor, rtol=1e-9, atol=1e-11, msg=name)
    assert all(tensor.abs().max() > 0 for tensor in expected.values())


def test_a_clip_too_short_to_divide_is_refused_in_one_line(of_two):
    for _, said in of_two:
        assert said == (
            "a clip of 1 latent frames with 6 places each cannot be divided over 2 processes: lower context"
        )
