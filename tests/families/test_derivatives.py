"""Exact derivatives through the real networks of every video family: what sct and scd train along."""

import pytest
import torch

from vidcm import families
from vidcm.core.derivative import discrete, exact
from vidcm.training.aides import Derivative, plain_arithmetic

from .tiny_video import VARIANTS, stirred_clip, write

NAMES = ["wan 2.1 t2v", "wan 2.2 t2v, two networks", "ltx, text", "cogvideox 2b", "cogvideox 5b"]


@pytest.fixture(params=["clip", *NAMES])
def opened(request, tmp_path):
    """A family in training, its network trained, and a clip's shape."""
    if request.param == "clip":
        family, shape = stirred_clip(dim=32), (5, 32, 32)
    else:
        variant = VARIANTS[request.param]
        family, shape = families.get(variant.family).load(write(request.param, tmp_path)), variant.shape
    for module in family.modules():
        module.requires_grad_(False).eval()
    for network in family.networks:
        network.requires_grad_(True).train()
    return family, shape


def point(family, shape):
    """(condition, x, angle, dx) of two clips."""
    size = (2, *family.latent_shape(*shape))
    generator = torch.Generator().manual_seed(0)
    x, dx = (torch.randn(size, generator=generator) for _ in range(2))
    condition = {**family.text(["", ""])[0], **family.images(None, None, shape, 2, float(family.RATE))}
    return condition, x, torch.tensor([0.4, 1.1]).view(2, 1, 1, 1, 1), dx


def test_the_derivative_is_exact_with_gradient_checkpointing_too(opened):
    family, shape = opened
    condition, *where = point(family, shape)
    f = family.denoiser(condition)
    found = []
    for checkpointed in (False, True):
        if checkpointed:
            family.checkpoint_gradients()
        derivative = Derivative()
        student = f(*where[:2])  # as in a step: with gradient, before the derivative
        with torch.no_grad():
            df = derivative(f, *where)
            assert derivative.hindrance is None
            assert derivative.error(df, f, *where) < 0.003  # the other one's curvature and rounding
        student.square().mean().backward()
        weights = [weight for network in family.networks for weight in network.parameters()]
        found.append((df, [weight.grad.clone() for weight in weights if weight.grad is not None]))
        for network in family.networks:
            network.zero_grad()
    (plain, gradients), (again, gradients_again) = found
    torch.testing.assert_close(again, plain)
    for one, other in zip(gradients, gradients_again, strict=True):
        torch.testing.assert_close(one, other)


def test_the_discrete_form_is_as_good_as_its_step_lets_it_be(opened):
    """At the step that serves where no exact one passes."""
    family, shape = opened
    for network in family.networks:
        network.eval()
    condition, *where = point(family, shape)
    f = family.denoiser(condition)
    with torch.no_grad(), plain_arithmetic(torch.device("cpu")):
        df = exact(f, *where)
        assert (discrete(f, *where) - df).norm() < 0.01 * df.norm()


def test_the_derivative_is_exact_with_an_adapter(tmp_path):
    family, shape = families.get("wan").load(write("wan 2.1 t2v", tmp_path)), VARIANTS["wan 2.1 t2v"].shape
    condition, *where = point(family, shape)
    family.adapt(4, str(tmp_path))
    bare = family.denoiser(condition)(*where[:2])
    for name, weight in family.transformer.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.1)
    f = family.denoiser(condition)
    assert not f(*where[:2]).allclose(bare)
    derivative = Derivative()
    with torch.no_grad():
        assert derivative.error(derivative(f, *where), f, *where) < 0.003
    assert derivative.hindrance is None
