"""A motion family of a few thousand weights, none of them silent."""

import pytest
import torch

from vidcm.families.motion import MotionFamily

TINY = {
    "vae": {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]},
    "dit": {"dim": 32, "depth": 2, "heads": 2},
}


def tiny_family(seed: int = 0) -> MotionFamily:
    torch.manual_seed(seed)
    family = MotionFamily.create(TINY)
    family.teacher = MotionFamily.create(TINY).dit
    for module in family.modules():
        for parameter in module.parameters():
            if not parameter.detach().any():  # heads start silent: let them speak, or a test would see nothing
                torch.nn.init.normal_(parameter, std=0.05)
        module.eval()
    return family


@pytest.fixture
def family() -> MotionFamily:
    return tiny_family()


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    """Two pairs of 64 x 96 frames with K = 3, the second without its last frame."""
    generator = torch.Generator().manual_seed(1)

    def rand(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    names = ("flow_forward", "flow_backward", "flow_before", "flow_after")
    flows = {name: rand(2, 2, 16, 24) - 0.5 for name in names}
    true_flows = {name: rand(2, 2, 3, 16, 24) - 0.5 for name in ("flow_to_first", "flow_to_last")}
    there = {"first_present": torch.tensor([True, True]), "last_present": torch.tensor([True, False])}
    beyond = {"before": rand(2, 3, 16, 24), "after": rand(2, 3, 16, 24), "steps": torch.ones(2, 2)}
    there["beyond_present"] = torch.tensor([[True, True], [False, False]])
    frames = {"first": rand(2, 3, 64, 96), "last": rand(2, 3, 64, 96), "frames": rand(2, 3, 3, 64, 96)}
    return frames | flows | true_flows | there | beyond | {"tau": torch.tensor([[0.25, 0.5, 0.75], [0.2, 0.5, 0.8]])}
