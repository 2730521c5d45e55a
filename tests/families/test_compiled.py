"""The real networks through `torch.compile`, with absent ends, gradients, and autocast as in training."""

import pytest
import torch

from vidcm.training.config import RunConfig
from vidcm.training.draws import SampleDraws
from vidcm.training.speed import called, speed_up


def stepped(family, batch, device: str) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of a VAE step and of a call of the DiT together, and the gradients of all weights."""
    generator = torch.Generator(device).manual_seed(3)
    with torch.autocast(device, torch.bfloat16):
        loss, _ = family.vae_loss(batch, generator=generator, samples_seen=10_000)
        with torch.no_grad():
            x0, condition = family.encode(batch, generator=generator)
        made = family.denoiser(condition)(x0, torch.full((2, 1, 1, 1, 1), 0.9, device=device))
    total = loss.mean() + made.float().square().mean()
    total.backward()
    gradients = {}
    for module in (family.vae, family.dit):
        for name, weight in module.named_parameters():
            if weight.grad is not None:
                gradients[name], weight.grad = weight.grad.float().clone(), None
    return total.item(), gradients


@pytest.mark.parametrize(
    ("device", "backend"),
    [
        pytest.param("cpu", "aot_eager", marks=pytest.mark.slow),
        pytest.param("cuda", "inductor", marks=pytest.mark.gpu),
    ],
)
def test_compiled_networks_have_the_loss_and_the_gradients_of_the_others(family, batch, device, backend):
    family.to(device)
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    loss, gradients = stepped(family, batch, device)
    for module in (family.vae, family.dit):
        for network in called(module):
            network.compile(backend=backend)
    compiled_loss, compiled = stepped(family, batch, device)
    torch._dynamo.reset()
    assert compiled_loss == pytest.approx(loss, rel=0.02)  # bf16 keeps 8 bits
    assert compiled.keys() == gradients.keys()
    whole, found = (torch.cat([each[name].flatten() for name in gradients]) for each in (gradients, compiled))
    assert torch.nn.functional.cosine_similarity(whole, found, dim=0) > 0.99


@pytest.mark.parametrize(
    ("part", "graphs"), [pytest.param("vae", 5, marks=pytest.mark.slow), ("pictures", 1), ("dit", 1)]
)
def test_in_a_step_of_training_each_compiled_network_is_one_graph(family, batch, part, graphs):
    """Nothing that cannot be traced, as what CPUs alone do, and no mode for a step's draws, cuts one into pieces, of
    which each would be compiled, and launched, by itself."""
    generator, counted = torch.Generator().manual_seed(0), torch._dynamo.utils.counters
    with torch.no_grad():
        x0, condition = family.encode(batch, generator=generator)
        ends, draft = family.observe(batch | {"tau": batch["tau"][:, :1]})
        motion = family.vae.decode(torch.zeros(2, 6, *draft.doubt.shape[-2:]), ends, draft)
    speed_up(RunConfig(compile="eager"), family)
    counted.clear()
    with SampleDraws(generator, 2, lambda sample, draw: sample), torch.autocast("cpu", torch.bfloat16):
        if part == "vae":
            family.vae_loss(batch, generator=generator, samples_seen=0)
        elif part == "pictures":
            family.vae.synthesis(motion, batch["first"], batch["last"], draft.present)
        else:
            family.denoiser(condition)(x0, torch.full((2, 1, 1, 1, 1), 0.9))
    torch._dynamo.reset()
    assert not counted["graph_break"]
    assert counted["stats"]["unique_graphs"] == graphs
