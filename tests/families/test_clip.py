import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.families import get
from vidcm.families.clip_objective import KNOWN, draw_known
from vidcm.pipelines import VideoGenerationPipeline


@pytest.fixture
def family():
    torch.manual_seed(0)
    config = {
        "vae": {"latent_channels": 4, "widths": [8, 16, 16]},
        "dit": {"dim": 32, "depth": 2, "heads": 2},
    }
    made = get("clip").create(config)
    for module in made.modules():
        for parameter in module.parameters():
            if not parameter.detach().any():
                torch.nn.init.normal_(parameter, std=0.05)
        module.eval().requires_grad_(False)
    return made


def batch(count=3, frames=9, size=16):
    clip = torch.rand(count, 3, frames, size, size, generator=torch.Generator().manual_seed(1))
    there = torch.ones(count, dtype=torch.bool)
    ends = {"first": clip[:, :, 0], "last": clip[:, :, -1], "first_present": there, "last_present": there}
    return {**ends, "frames": clip[:, :, 1:-1]}


def test_a_saved_model_is_read_back(family, tmp_path):
    family.teacher = get("clip").create({"dit": {"dim": 32, "depth": 2, "heads": 2}, "vae": {"latent_channels": 4}})
    family.teacher = family.teacher.transformer
    family.save(tmp_path / "model")
    again = get("clip").load(tmp_path / "model")
    for name in ("vae", "transformer", "teacher"):
        wanted, found = getattr(family, name).state_dict(), getattr(again, name).state_dict()
        assert wanted.keys() == found.keys()
        assert all((wanted[key] == found[key]).all() for key in wanted)
    assert again.consistency is not None  # tuned from a teacher


def test_parts_of_two_models_are_refused(family):
    other = get("clip").create({"vae": {"latent_channels": 8}})
    with pytest.raises(UserError, match="two models"):
        get("clip")(other.vae, family.transformer).check()


def test_the_network_is_told_of_each_given_frame_in_its_place(family):
    clip = torch.rand(1, 3, 9, 16, 16, generator=torch.Generator().manual_seed(1))
    known = torch.tensor([[True, False, True, False, False, False, False, False, True]])
    told = family.told_of(clip, known)["condition"].unflatten(1, (4, 5))  # four places of latent and mark
    marks = told[0, :, 4, :, 0, 0]
    assert marks.T.tolist() == [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1]]  # frame 2 is the second of latent frame 1
    alone = family.encode_frames(clip[:, :, 2:3])[0, :, 0]
    torch.testing.assert_close(told[0, 1, :4, 1], alone)
    assert (told[0, 0, :4, 1] == 0).all()


def test_a_known_first_frame_is_what_it_is_at_every_noise_level(family):
    x0, condition = family.encode(batch(), generator=torch.Generator().manual_seed(0))
    clip = torch.cat((batch()["first"][:, :, None], batch()["frames"], batch()["last"][:, :, None]), dim=2)
    known = torch.zeros(3, 9, dtype=torch.bool)
    known[0, 0] = True
    condition = family.told_of(clip, known)
    made = family.denoiser(condition)(torch.randn(x0.shape), torch.full((3, 1, 1, 1, 1), 1.2))
    torch.testing.assert_close(made[0, :, 0], x0[0, :, 0], atol=1e-5, rtol=1e-5)
    assert (made[0, :, 1] - x0[0, :, 1]).abs().max() > 0.1
    assert (made[1, :, 0] - x0[1, :, 0]).abs().max() > 0.1  # not told


def test_known_places_are_out_of_the_loss(family):
    from vidcm import losses

    batch_ = batch()
    x0 = family.encode(batch_, generator=torch.Generator().manual_seed(0))[0]
    clip = torch.cat((batch_["first"][:, :, None], batch_["frames"], batch_["last"][:, :, None]), dim=2)
    known = torch.zeros(3, 9, dtype=torch.bool)
    known[:, 0] = True
    f, seen = family.denoiser(family.told_of(clip, known)), []

    def watched(x, angle):
        made = f(x, angle).requires_grad_(True)
        made.retain_grad()
        seen.append(made)
        return made

    loss = losses.get("diffusion")()(watched, x0, stage=0, generator=torch.Generator().manual_seed(0))
    loss.sum().backward()
    gradient = seen[0].grad
    assert gradient[:, :, 0].abs().max() < 1e-5 * gradient[:, :, 1:].abs().max()


def test_frames_are_told_in_the_stated_shares():
    known = draw_known(40_000, 13, torch.Generator().manual_seed(0))
    count = known.sum(1)
    first_alone = (count == 1) & known[:, 0]
    ends = (count == 2) & known[:, 0] & known[:, -1]
    assert (count == 0).float().mean().item() == pytest.approx(KNOWN["none"] + KNOWN["some"] / 14, abs=0.01)
    assert first_alone.float().mean().item() == pytest.approx(KNOWN["first"], abs=0.015)
    assert ends.float().mean().item() == pytest.approx(KNOWN["ends"], abs=0.015)


def test_a_prompt_is_refused(family):
    with pytest.raises(UserError, match="reads no text"):
        family.text(["a dog"])


def test_its_vae_learns_from_whole_clips_only(family):
    absent = batch()
    absent["first_present"] = torch.tensor([True, False, True])
    with pytest.raises(UserError, match=r"data\.absent must be 0"):
        family.vae_loss(absent, generator=torch.Generator(), samples_seen=0)


def test_an_adapter_is_saved_read_back_and_merged(family, tmp_path):
    family.save(tmp_path / "base")
    torch.manual_seed(0)
    family.adapt(4, str(tmp_path / "base"))
    for weight in family.adapter.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    condition = family.told_of(torch.rand(1, 3, 9, 16, 16), torch.zeros(1, 9, dtype=torch.bool))
    x, angle = torch.randn(1, 4, 3, 2, 2), torch.full((1, 1, 1, 1, 1), 0.7)
    with torch.no_grad():
        wanted = family.denoiser(condition)(x, angle)
        bare = family.denoiser(condition, family.bare())(x, angle)
        family.save(tmp_path / "laid")
        again = get("clip").load(tmp_path / "laid")
        assert (wanted - bare).abs().max() > 0.01
        torch.testing.assert_close(again.denoiser(condition)(x, angle), wanted)
        again.merge().save(tmp_path / "merged")
        merged = get("clip").load(tmp_path / "merged")
        torch.testing.assert_close(merged.denoiser(condition)(x, angle), wanted, atol=1e-5, rtol=1e-5)


def test_it_makes_clips_where_models_are_asked_for_in_bfloat16(family, tmp_path):
    """As on a GPU."""
    family.save(tmp_path / "model")
    pipe = VideoGenerationPipeline.from_pretrained(tmp_path / "model", torch.bfloat16)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(None, num_frames=5, height=16, width=16, num_inference_steps=1, seed=0, output_type="np").frames[0]
    assert made.shape == (5, 16, 16, 3)
