"""One ingredient of the sampler exchanged: what is left must be what the name of the row says."""

import pytest
import torch

from benchmarks.ambiguity import COLUMNS, tables, thirds
from benchmarks.ingredients import disbelieving, exchanged, network_of, silent, unled
from tests.families.conftest import tiny_family
from vidcm.core.around import Around
from vidcm.core.errors import UserError
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines import FrameInterpolationPipeline


@pytest.fixture(scope="module")
def pipe():
    family = tiny_family()
    torch.nn.init.constant_(family.vae.context.belief.g[-1].bias, 0.5)
    scheduler = ConsistencyScheduler(temperature=1.3, spread=0.5, sides=0.5)
    return FrameInterpolationPipeline(family.vae, family.dit, scheduler, family.teacher)


@pytest.fixture(scope="module")
def asked():
    """A picture that moves ever faster, so that the frames around tell something."""
    whole = torch.nn.functional.interpolate(
        torch.rand(1, 3, 12, 24, generator=torch.Generator().manual_seed(0)), (96, 192)
    )
    before, first, last, after = (whole[..., 8:72, x : x + 96] for x in (0, 4, 16, 36))
    return {"first": first, "last": last, "tau": [0.5], "around": Around(before, after)}


def frames(pipe, asked, **options):
    return pipe(**asked, **options).frames


def test_without_belief_and_without_a_network_there_is_the_draft(pipe, asked):
    draft = frames(pipe, asked, num_inference_steps=0)
    alone = exchanged(pipe, vae=disbelieving(pipe.vae))
    for steps in (1, 2):
        made = frames(alone, asked, num_inference_steps=steps, callback_on_step_end=silent)
        torch.testing.assert_close(made, draft, rtol=0, atol=1e-4)
    believed = frames(pipe, asked, num_inference_steps=1, callback_on_step_end=silent)
    assert (believed - draft).abs().max() > 0.01
    drawn = frames(pipe, asked, callback_on_step_end=silent)
    assert (drawn - believed).abs().max() > 0.001


def test_what_is_exchanged_differs_and_all_else_stays(pipe, asked):
    plain = frames(pipe, asked)
    assert torch.equal(frames(exchanged(pipe), asked), plain)
    assert not torch.equal(frames(exchanged(pipe, network=pipe.teacher), asked), plain)
    cooler = exchanged(pipe, spread=0.0, sides=0.0)
    assert cooler.scheduler.config.temperature == 1.3
    assert torch.equal(frames(cooler, asked), frames(pipe, asked, num_inference_steps=1))


def test_noise_in_place_of_a_way_is_as_large_in_each_channel_and_leads_elsewhere():
    centre = torch.randn(1, 2, 1, 64, 64)
    way = torch.randn(1, 2, 1, 64, 64) * torch.tensor([0.1, 2.0]).view(1, 2, 1, 1, 1)
    answer = unled(seed=3)
    assert answer(None, 0, 1.5, {"latents": centre})["latents"] is centre
    noise = answer(None, 1, 1.2, {"latents": centre + way})["latents"] - centre
    torch.testing.assert_close(noise.std((2, 3, 4)), way.std((2, 3, 4)), rtol=0.05, atol=0)
    assert torch.nn.functional.cosine_similarity(noise.flatten(), way.flatten(), dim=0).abs() < 0.1


def test_a_network_for_other_latents_is_refused(pipe, tmp_path):
    other = tiny_family(1)
    other.save(tmp_path / "same")
    assert network_of(tmp_path / "same", pipe).config.depth == 2
    other.vae.latent_mean += 1
    other.save(tmp_path / "other")
    with pytest.raises(UserError, match="latents of another VAE"):
        network_of(tmp_path / "other", pipe)


def test_each_window_counts_once_in_all_and_once_in_the_group_of_its_motion():
    motions = [5.0, 1.0, 9.0, 2.0, 7.0, 0.5]
    assert [group.split()[0] for group in thirds(motions)] == ["middle", "small", "large", "middle", "large", "small"]
    scores = {name: 0.5 for name in COLUMNS}
    windows = [
        {"group": group, "rows": {"draft": {**scores, "psnr": motion, "sharpness": None}}}
        for motion, group in zip(motions, thirds(motions), strict=True)
    ]
    told = "\n".join(tables(windows))
    assert "**All** (6 pairs)" in told
    assert "| draft | 4.08 | 0.50 | 0.5000 |  | 0.50 | 0.50 | 0.50 |" in told
    assert told.count("(2 pairs)") == 3
    assert "| draft | 8.00 |" in told
