"""Two processes that divide weights or frames train what one process trains."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import torch.distributed.checkpoint as dcp
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

from tests.families.tiny_video import write
from tests.training.test_pretrained import settings, vidcm_train
from tests.two_processes import in_two_processes, succeeded
from vidcm.core.errors import UserError
from vidcm.families.motion import MotionFamily
from vidcm.training.plan import memory_line

from . import latents_of_motion as tiny

__all__ = ["settings"]
CLOSE = {"rtol": 2e-4, "atol": 2e-6}  # sums in another order, six Adam steps on: they divide by small roots


def together(out: Path, *runs: tuple[str, dict]) -> None:
    """The runs, one after the other, in two gloo processes."""
    succeeded(in_two_processes([tiny.__file__, out, json.dumps(runs)]))


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder with a run of one process, whole and in parts, and what two made of it in their ways."""
    out = tmp_path_factory.mktemp("divided")
    tiny.run(out / "one")
    tiny.run(out / "one_to_two", until=4)
    shutil.copytree(out / "one_to_two", out / "one_to_frames")
    sharded = {"shard": True, "processes": 2}
    together(
        out,
        ("sharded", sharded),
        ("parts", {**sharded, "until": 2}),
        ("parts", {**sharded, "resume": True}),
        ("two_to_one", {**sharded, "until": 4}),
        ("one_to_two", {**sharded, "resume": True}),
        ("frames", {"context": 2}),
        ("one_to_frames", {"context": 2, "shard": True, "resume": True}),
        ("accumulated", {**sharded, "grad_accumulation": 2}),
        ("target", {**sharded, "stage": "cd"}),
    )
    tiny.run(out / "two_to_one", resume=True)
    tiny.run(out / "target_of_one", stage="cd")
    return out


def tensors(run: Path, group: str) -> dict[str, torch.Tensor]:
    """Of the last checkpoint, whole."""
    folder = run / "checkpoints" / "step-00000006"
    if not (folder / ".metadata").exists():
        return load_file(folder / f"{group}.safetensors")
    known = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    found = {key: torch.zeros(entry.size) for key, entry in known.items() if key.startswith(f"{group}/")}
    dcp.load(found, checkpoint_id=folder, no_dist=True)
    return {key.removeprefix(f"{group}/"): tensor for key, tensor in found.items()}


def losses(run: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def assert_alike(one: Path, two: Path, *groups: str) -> None:
    torch.testing.assert_close(losses(two), losses(one), rtol=1e-5, atol=0)
    for group in groups:
        first, second = tensors(one, group), tensors(two, group)
        assert first.keys() == second.keys()
        for name, tensor in first.items():
            torch.testing.assert_close(second[name], tensor, **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


WAYS = ["sharded", "one_to_two", "two_to_one", "frames", "one_to_frames", "accumulated"]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_losses_weights_and_averages_are_those_of_one_process(done, way):
    assert_alike(done / "one", done / way, "params", "ema")


@pytest.mark.slow
def test_an_averaged_target_is_sharded_too(done):
    assert_alike(done / "target_of_one", done / "target", "params", "aides")
    assert any(name.startswith("target.") for name in tensors(done / "target", "aides"))


@pytest.mark.slow
def test_shards_that_were_stopped_resume_to_the_same_bits(done):
    for group in ("params", "ema", "optimizer"):
        whole, parts = tensors(done / "sharded", group), tensors(done / "parts", group)
        assert whole.keys() == parts.keys()
        assert all(whole[name].equal(parts[name]) for name in whole)


@pytest.mark.slow
def test_each_process_writes_its_shards_and_the_manifest_knows_them(done):
    folder = done / "sharded" / "checkpoints" / "step-00000006"
    shards = [folder / f"__{rank}_0.distcp" for rank in (0, 1)]
    sums = json.loads((folder / "manifest.json").read_text())
    assert {file.name for file in shards} | {".metadata", "state.json"} == set(sums)
    known = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    weight = "blocks.0.spatial.qkv.weight"
    for name in (f"params/{weight}", f"ema/{weight}", f"optimizer/{weight}/exp_avg", f"optimizer/{weight}/exp_avg_sq"):
        halves = [(tuple(chunk.offsets), tuple(chunk.sizes)) for chunk in known[name].chunks]
        assert sorted(halves) == [((0, 0), (24, 16)), ((24, 0), (24, 16))]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["sharded", "frames"])
def test_one_process_loads_the_model_that_two_have_saved(done, way):
    made, alone = (MotionFamily.load(done / run / "model").dit for run in (way, "one"))
    assert type(made) is type(alone)
    for (name, weight), (_, same) in zip(made.named_parameters(), alone.named_parameters(), strict=True):
        torch.testing.assert_close(weight, same, **CLOSE, msg=name)
    averages = tensors(done / way, "ema")
    assert all(weight.equal(averages[name]) for name, weight in made.named_parameters())


@pytest.mark.slow
def test_a_pretrained_network_is_tuned_in_shards_and_the_stock_pipeline_reads_it(settings, tmp_path):
    """A stored model of another library; latents are encoded by both processes, each its share."""
    stock, words = write("wan 2.1 t2v", tmp_path / "stock"), ["-m", "vidcm", "train", str(settings)]
    words += ["family=wan", f"init={stock}", "optimizer.lr=1e-3"]
    vidcm_train(settings, *words[4:], f"out={tmp_path / 'one'}")
    said = succeeded(in_two_processes([*words, f"out={tmp_path / 'two'}", "shard=true", "latents.batch_size=1"]))
    assert "2 steps of 2 clips (1 x 1 batches x 2), fp32, 2 processes on cpu, weights in shards" in said
    first, second = (DiffusionPipeline.from_pretrained(tmp_path / run / "model") for run in ("one", "two"))
    for (name, weight), (_, same) in zip(
        second.transformer.named_parameters(), first.transformer.named_parameters(), strict=True
    ):
        torch.testing.assert_close(weight, same, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="two accelerators, with nccl between them")
def test_two_gpus_train_what_one_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "false")
    tiny.run(tmp_path / "one", device="cuda")
    ways = {"clips": {}, "sharded": {"shard": True}, "frames": {"context": 2, "shard": True}}
    together(tmp_path, *((name, {"device": "cuda", **how}) for name, how in ways.items()))
    for way in ways:
        assert_alike(tmp_path / "one", tmp_path / way, "params", "ema")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"shard": True, "stage": "sct"}, "shard: stage sct takes a derivative"),
        ({"shard": True, "stage": "vae"}, "shard: stage vae trains a VAE"),
        ({"context": 2}, "context 2: 1 processes do not make groups of 2"),
        ({"shard": True, "stage": "decoder"}, "shard: stage decoder trains a VAE"),
        ({"shard": True, "stage": "cd", "objective": {"adversarial": 0.1}}, "shard: a critic sees"),
        ({"shard": True, "lora": 4}, "shard: with lora only small factors are trained"),
    ],
)
def test_what_cannot_be_divided_is_told_in_one_line(changes, told, tmp_path):
    with pytest.raises(UserError) as caught:
        tiny.run(tmp_path / "out", **changes)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_the_plan_is_told_before_the_first_step(tmp_path, capsys):
    tiny.run(tmp_path / "out", until=2, data={"batch_size": 2}, grad_accumulation=2)
    plan, memory, *_ = capsys.readouterr().err.splitlines()
    assert plan == "plan: ect of family motion, 6 steps of 4 clips (2 x 2 batches x 1), fp32, 1 process on cpu"
    weights = sum(weight.nbytes for weight in tiny.family().dit.parameters()) / 2**20
    assert f"(weights {weights:.1f} MiB + gradients {weights:.1f} MiB + moments {2 * weights:.1f} MiB" in memory


def test_too_little_memory_is_told(monkeypatch):
    monkeypatch.setattr("vidcm.training.plan.free_bytes", lambda device: 3 * 2**30)
    held = {"weights": 2**31, "moments": 2**32, "average": 0}
    assert memory_line(held, torch.device("cpu")) == (
        "memory of a process: 6.0 GiB of tensors (weights 2.0 GiB + moments 4.0 GiB), and what activations and "
        "libraries take; 3.0 GiB are free: too little, try more processes with shard=true, or lora"
    )
