"""Clips drawn from a tiny generator: the same noise for everybody, counted evaluations, a chosen middle."""

import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.evaluation.clip_sets import METRICS, Reference
from vidcm.evaluation.drawing import Sampler, draw_clips
from vidcm.evaluation.middle import choose_middle, store_sampling
from vidcm.families import get

CLIPS = 6


@pytest.fixture(scope="module")
def reference():
    return torch.randint(0, 256, (CLIPS, 3, 5, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.fixture
def family():
    torch.manual_seed(0)
    vae = {"latent_channels": 4, "widths": [8, 8, 8]}
    made = get("clip").create({"vae": vae, "dit": {"dim": 16, "depth": 1, "heads": 2}})
    for module in made.modules():
        for parameter in module.parameters():
            if not parameter.detach().any():
                torch.nn.init.normal_(parameter, std=0.1)
        module.eval().requires_grad_(False)
    return made


@pytest.mark.parametrize(
    "sampler",
    [Sampler("consistency", 2), Sampler("ode", 3), Sampler("ode", 4, "heun"), Sampler("hybrid", 3)],
    ids=lambda s: f"{s.kind} {s.solver}",
)
def test_a_clip_depends_on_its_number_and_not_on_its_batch(family, reference, sampler):
    one, other = (draw_clips(family, sampler, reference, batch=batch) for batch in (2, 6))
    torch.testing.assert_close(one.x0, other.x0, rtol=1e-4, atol=1e-4)
    assert one.asked == other.asked == sampler.evaluations
    assert one.frames.shape == reference.shape
    assert not one.x0[0].allclose(one.x0[1])
    assert not draw_clips(family, sampler, reference, seed=1).x0.allclose(one.x0)


def test_given_frames_are_in_the_clips_that_were_told_them(family, reference):
    for given, places in (("first", [0]), ("ends", [0, 4])):
        made = draw_clips(family, Sampler("consistency", 1), reference, given)
        assert made.frames[:, :, places].equal(reference[:, :, places])
    free = draw_clips(family, Sampler("consistency", 1), reference)
    assert not free.frames[:, :, 0].equal(reference[:, :, 0])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (("leap", 2), "consistency, ode, hybrid, got 'leap'"),
        (("ode", 2, "rk45"), "solver must be one of"),
        (("ode", 1, "heun"), "at least 2 evaluations, got 1"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(fields, told):
    with pytest.raises(UserError, match=told):
        Sampler(*fields)


def test_the_middle_that_is_nearest_to_the_clips_is_stored_with_the_weights(family, reference, tmp_path):
    family.save(tmp_path)
    weights = (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes()
    found = choose_middle(family, reference, (0.3, 0.9, 1.5))
    best = min(found, key=found.__getitem__)
    store_sampling(family, tmp_path)
    stored = get("clip").load(tmp_path).consistency
    assert stored.angles(2)[1] == best == family.consistency.config.middle
    assert len(set(found.values())) == 3
    assert (tmp_path / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes() == weights


def test_a_middle_beyond_the_start_is_refused_before_anything_is_drawn(family, reference):
    with pytest.raises(UserError, match=r"between 0 and the start, 1\.565, got 1\.6"):
        choose_middle(family, reference, (0.8, 1.6))


def test_held_out_clips_score_at_their_floor_and_noise_far_from_it():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(40, 3, 4, 4, generator=generator), 32, mode="bilinear")
    moving = torch.stack([smooth.roll(step, -1) for step in range(6)], dim=2)
    heldout, noise = (clips.mul(255).to(torch.uint8) for clips in (moving, torch.rand(40, 3, 6, 32, 32)))
    reference = Reference(heldout)
    same, other = reference.scores(heldout, paired=True), reference.scores(noise)
    assert set(same) == set(METRICS)
    assert all(score["value"] == pytest.approx(score["floor"]) for score in same.values())
    for name in ("sliced", "rbf", "polynomial"):
        assert other[name]["value"] > other[name]["floor"] + 10 * other[name]["deviation"]
    assert other["precision"]["value"] == 0
