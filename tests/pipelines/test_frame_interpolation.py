import gc
import weakref
from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, ModelMixin, SchedulerMixin

from vidcm.core.around import ALONE, Around
from vidcm.core.errors import UserError
from vidcm.families import motion_look
from vidcm.families.motion import MotionFamily
from vidcm.models.belief import told_finely
from vidcm.models.motion_vae import rows
from vidcm.pipelines import FrameInterpolationPipeline, Inbetweener, as_interpolator
from vidcm.pipelines.noise import keyed, sides
from vidcm.pipelines.rendering import together


def test_it_is_a_diffusers_pipeline(pipe):
    assert isinstance(pipe, DiffusionPipeline)
    assert set(pipe.components) == {"vae", "transformer", "scheduler", "teacher"}
    assert all(isinstance(part, ModelMixin) for part in (pipe.vae, pipe.transformer, pipe.teacher))
    assert isinstance(pipe.scheduler, SchedulerMixin)


def test_the_command_lines_model_gives_the_frames_of_the_pipeline(pipe, pair, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    model = Inbetweener.load(tmp_path / "model")
    assert not isinstance(model, DiffusionPipeline)
    wanted = pipe(*pair, [0.25, 0.5], seed=2)
    frames, confidence = together(model.one_by_one(*pair, [0.25, 0.5], seed=2), *pair, [0.25, 0.5])
    assert torch.equal(frames, wanted.frames)
    assert torch.equal(confidence, wanted.confidence)


def test_saving_and_loading_gives_the_same_bits(pipe, pair, tmp_path):
    wanted = pipe(*pair, [0.5])
    pipe.save_pretrained(tmp_path / "model")
    loaded = FrameInterpolationPipeline.from_pretrained(tmp_path / "model")
    for before, after in zip(wanted.values(), loaded(*pair, [0.5]).values(), strict=True):
        assert torch.equal(before, after)


def test_the_directory_of_a_family_is_that_of_the_pipeline(pipe, pair, tmp_path):
    MotionFamily(pipe.vae, pipe.transformer, pipe.scheduler, pipe.teacher).save(tmp_path / "model")
    loaded = FrameInterpolationPipeline.from_pretrained(tmp_path / "model")
    assert torch.equal(loaded(*pair, [0.5]).frames, pipe(*pair, [0.5]).frames)
    stock = DiffusionPipeline.load_config(tmp_path / "model")
    assert stock["vae"] == ["vidcm.models.motion_vae", "MotionVAE"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_give_nearly_the_same_frames(pipe, pair, dtype, tmp_path):
    pipe.save_pretrained(tmp_path / "model")
    half = FrameInterpolationPipeline.from_pretrained(tmp_path / "model", torch_dtype=dtype)
    assert half.vae.dtype == dtype
    torch.testing.assert_close(half(*pair, [0.5]).frames, pipe(*pair, [0.5]).frames, atol=0.1, rtol=0)


def test_an_instant_that_rounds_to_an_end_is_legal(pipe, pair):
    assert pipe(*pair, [1 - 2e-9]).frames.isfinite().all()


def test_frames_have_the_size_of_the_ends_and_the_range_of_pictures(pipe, pair):
    out = pipe(*pair, [0.25, 0.5, 0.75])
    assert out.frames.shape == (1, 3, 3, 75, 97)
    assert out.confidence.shape == (1, 1, 3, 75, 97)
    for values in out.values():
        assert values.min() >= 0
        assert values.max() <= 1


def test_numpy_output_has_channels_last(pipe, pair):
    out = pipe(*pair, [0.5], output_type="np")
    assert isinstance(out.frames, np.ndarray)
    assert out.frames.shape == (1, 1, 75, 97, 3)
    torch.testing.assert_close(torch.from_numpy(out.frames[0, 0]).permute(2, 0, 1), pipe(*pair, [0.5]).frames[0, :, 0])


def test_a_frame_depends_on_its_key_and_not_on_its_company(pipe, pair):
    """The noise of an instant is the same alone, in a batch, and at another place in it."""
    both = [torch.cat((end, end.flip(3))) for end in pair]
    alone = pipe(*pair, [0.5], position=7, seed=3).frames
    together = pipe(*both, [0.5], position=[7, 9], seed=3).frames
    torch.testing.assert_close(together[:1], alone, atol=2e-2, rtol=0)  # bf16 convolutions round by batch size
    draws = [keyed(torch.tensor([[0.5]]), 3, 0, position)(0, (1, 4, 1, 2, 2)) for position in (7, 9)]
    pairs = keyed(torch.tensor([[0.5], [0.5]]), 3, 0, [7, 9])(0, (2, 4, 1, 2, 2))
    assert torch.equal(torch.cat(draws), pairs)
    assert not torch.equal(*draws)


def test_the_seed_decides(pipe, pair):
    first, again, other = (pipe(*pair, [0.5], seed=seed, temperature=1.0).frames for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_at_zero_temperature_no_seed_matters(pipe, pair):
    one, two = (pipe(*pair, [0.5], seed=seed, temperature=0.0).frames for seed in (1, 2))
    assert torch.equal(one, two)


def test_generators_replace_the_keys(pipe, pair):
    def once(seed):
        return pipe(*pair, [0.5], generator=torch.Generator().manual_seed(seed), temperature=1.0).frames

    assert torch.equal(once(5), once(5))
    assert not torch.equal(once(5), once(6))
    both = [torch.cat((end, end)) for end in pair]
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    torch.testing.assert_close(
        pipe(*both, [0.5], generator=generators, temperature=1.0).frames[:1], once(5), atol=2e-2, rtol=0
    )


def test_callbacks_see_each_step_and_may_change_the_latents(pipe, pair):
    seen = []

    def watch(pipe, step, angle, tensors):
        seen.append((step, angle))
        return {"latents": torch.zeros_like(tensors["latents"])}

    changed = pipe(*pair, [0.5], callback_on_step_end=watch).frames
    assert [step for step, _ in seen] == [0, 1]
    assert tuple(angle for _, angle in seen) == pipe.scheduler.angles(2)
    mean = pipe.vae.unscale(torch.zeros(1, pipe.vae.config.latent_channels, 1, 1))
    assert not mean.any()  # so that the draft is the picture of a latent of zero
    torch.testing.assert_close(changed, pipe(*pair, [0.5], num_inference_steps=0).frames)


@pytest.mark.parametrize("absent", [0, 1])
def test_either_end_may_be_absent(pipe, pair, absent):
    ends = [None if i == absent else end for i, end in enumerate(pair)]
    out = pipe(*ends, [0.5])
    assert out.frames.shape == (1, 3, 1, 75, 97)
    assert out.frames.isfinite().all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"first": None, "last": None}, "at least one frame"),
        ({"last": torch.zeros(1, 3, 10, 10)}, "one size"),
        ({"first": torch.full((1, 3, 75, 97), 128.0)}, "divide 8-bit frames by 255"),
        ({"last": torch.zeros(1, 3, 75, 97, dtype=torch.uint8)}, "divide 8-bit frames by 255"),
        ({"first": np.zeros((1, 3, 75, 97), np.float32)}, "must be float32 tensors .* got ndarray"),
        ({"first": torch.zeros(1, 3, 75, 97, dtype=torch.bfloat16)}, "must be float32 .* got torch.bfloat16"),
        ({"last": torch.full((1, 3, 75, 97), torch.nan)}, "not finite"),
        ({"tau": 0.5}, "got 0.5: give a list"),
        ({"tau": [0.0]}, "between 0 and 1"),
        ({"tau": [1.5]}, "between 0 and 1"),
        ({"num_inference_steps": -1}, "at least 0"),
        ({"output_type": "pil"}, "output_type"),
    ],
)
def test_wrong_input_is_told(pipe, pair, change, told):
    call = {"first": pair[0], "last": pair[1], "tau": [0.5]} | change
    first, last, tau = (call.pop(name) for name in ("first", "last", "tau"))
    with pytest.raises(ValueError, match=told):
        pipe(first, last, tau, **call)


def test_a_missing_directory_is_told_in_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        FrameInterpolationPipeline.from_pretrained(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["draft", "believed", "random", "ect1", "ect2", "teacher", "posterior", "shuffled"])
def test_every_rung_of_the_ladder_gives_frames(pipe, pair, name):
    truth = pair[0][:, :, None]
    other = (pair[1], pair[0], [0.5], truth)
    out = pipe.reconstruct(*pair, [0.5], name, truth, teacher_steps=2, shuffle_with=other)
    assert out.shape == (1, 3, 1, 75, 97)


def test_rungs_that_should_differ_do(pipe, pair):
    truth = torch.rand(1, 3, 1, 75, 97)
    names = ("draft", "random", "ect1", "ect2", "teacher", "posterior")  # with no frame around nothing is believed
    pictures = [pipe.reconstruct(*pair, [0.5], name, truth, teacher_steps=2, temperature=1.0) for name in names]
    for i, one in enumerate(pictures):
        assert all(not torch.equal(one, two) for two in pictures[i + 1 :])
    torch.testing.assert_close(pictures[3], pipe(*pair, [0.5], temperature=1.0).frames)


def test_an_unknown_rung_is_told(pipe, pair):
    with pytest.raises(ValueError, match="latents must be one of"):
        pipe.reconstruct(*pair, [0.5], "magic")


def test_the_interpolator_is_the_pipeline_on_one_pair(pipe, pair):
    interpolate = as_interpolator(pipe, steps=2, seed=4)
    frames = interpolate(pair[0][0], pair[1][0], [Fraction(1, 3), 0.5], shot=2, position=11)
    wanted = pipe(*pair, [1 / 3, 0.5], seed=4, position=11).frames[0]  # a part of a file does not know its shot
    torch.testing.assert_close(frames, wanted)
    assert interpolate(pair[0][0], None, [0.5]).shape == (3, 1, 75, 97)


@pytest.mark.parametrize("limit", [0, 2**22])
def test_frames_one_by_one_are_those_of_a_call(pipe, pair, limit, monkeypatch):
    """In float32: bf16 turns the last bit of a number that grew otherwise into its own last bit."""
    taus = [0.25, 0.5, 0.75]
    monkeypatch.setattr(type(pipe), "precision", lambda self: nullcontext())
    called = pipe(*pair, taus, seed=4)
    monkeypatch.setattr("vidcm.core.large.LARGE", limit)
    made = pipe.one_by_one(*pair, taus, seed=4, strip=97 * 20)
    for index, (frame, confidence) in enumerate(made):  # strips of 20 rows, and of pictures that are large or not
        assert (frame - called.frames[0, :, index]).abs().max() < 1e-4
        assert (confidence - called.confidence[0, :, index]).abs().max() < 1e-4
    assert index == 2


def test_one_frame_is_in_memory_at_a_time(pipe, pair):
    made = as_interpolator(pipe).each(
        pair[0][0], pair[1][0], [0.25, 0.5], looks=(*(pipe.family.look(x) for x in pair), None, None)
    )
    frame, score = next(made)
    assert (frame.shape, score) == ((3, 1, 75, 97), None)
    gone = weakref.ref(frame.untyped_storage())
    del frame
    next(made)
    gc.collect()
    assert gone() is None


def test_the_frames_around_a_pair_move_what_is_between(pipe, pair):
    before, after = pair[0].roll(3, dims=3), pair[1].roll(-9, dims=3)
    alone = pipe(*pair, [0.5], temperature=0).frames
    told = pipe(*pair, [0.5], temperature=0, around=Around(before, after)).frames
    assert (told - alone).abs().max() > 1e-3
    for nothing in (Around(before, after, lead=5, trail=0.1), Around(pair[0], pair[1])):  # too far off; shown twice
        torch.testing.assert_close(pipe(*pair, [0.5], temperature=0, around=nothing).frames, alone)


def test_the_ladder_sees_the_frames_around_too(pipe, pair):
    around = Around(pair[0].roll(3, dims=3), pair[1].roll(-9, dims=3), lead=1.5, trail=0.8)
    settings = {"temperature": 0.5, "seed": 3}
    climbed = pipe.reconstruct(*pair, [0.5], "ect2", around=around, **settings)
    torch.testing.assert_close(climbed, pipe(*pair, [0.5], around=around, **settings).frames)
    looks = tuple(pipe.family.look(x) for x in (*pair, around.before, around.after))
    times = Around(lead=around.lead, trail=around.trail)
    seen_before = pipe.reconstruct(*pair, [0.5], "ect2", around=times, looks=looks, **settings)
    torch.testing.assert_close(seen_before, climbed)
    interpolated = as_interpolator(pipe, seed=3, temperature=0.5)(
        pair[0][0], pair[1][0], [0.5], around=Around(around.before[0], around.after[0], around.lead, around.trail)
    )
    torch.testing.assert_close(interpolated, climbed[0])
    evenly = pipe(*pair, [0.5], around=Around(around.before, around.after), **settings).frames
    assert not torch.equal(evenly, climbed)


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 75, 96), 255 * torch.rand(1, 3, 75, 97), torch.zeros(3, 75, 97)])
def test_frames_around_are_checked_like_the_ends(pipe, pair, wrong):
    with pytest.raises(ValueError, match="around must be"):
        pipe(*pair, [0.5], around=Around(before=wrong))


def test_without_a_network_step_the_frames_around_change_nothing(pipe, pair):
    """The draft is even motion: what to make of the others is the network's to decide."""
    around = Around(pair[0].roll(3, dims=3), pair[1].roll(-9, dims=3))
    one, two = (pipe(*pair, [0.5], num_inference_steps=0, around=told).frames for told in (ALONE, around))
    torch.testing.assert_close(one, two)


def test_a_stream_measures_the_motion_of_each_frame_once_and_looks_at_it_once(pipe, pair, monkeypatch):
    frames = [pair[0][0].roll(n, dims=2) for n in range(6)]
    measured, seen = [], []
    real, see = motion_look.flows_between, pipe.vae.see
    monkeypatch.setattr(motion_look, "flows_between", lambda *asked: measured.append(1) or real(*asked))
    monkeypatch.setattr(pipe.vae, "see", lambda frame: seen.append(1) or see(frame))
    interpolate = as_interpolator(pipe)
    for i in range(5):
        around = Around(frames[i - 1] if i else None, frames[i + 2] if i < 4 else None)
        made = interpolate(frames[i], frames[i + 1], [0.5], around=around, position=i)
        batched = Around(*(None if x is None else x[None] for x in (around.before, around.after)))
        if i == 2:
            wanted = pipe(frames[i][None], frames[i + 1][None], [0.5], around=batched, position=i).frames[0]
            torch.testing.assert_close(made, wanted)
            del measured[-4:], seen[-2:]
    assert len(measured) == 10  # both ways between neighbours
    assert len(seen) == 6


def test_what_one_network_saw_of_a_frame_is_not_taken_by_another(pipe, pair):
    """Looks are a caller's: the same ones, given to two pipelines."""
    other = FrameInterpolationPipeline.from_pretrained()
    looks = [pipe.family.look(frame) for frame in (*pair, pair[0])]
    wanted = other(pair[1], pair[0], [0.5]).frames
    pipe(*pair, [0.5], looks=(*looks[:2], None, None))
    made = other(pair[1], pair[0], [0.5], looks=(*looks[1:], None, None)).frames
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-6)


def test_what_was_measured_goes_with_the_frame(pipe, pair, monkeypatch):
    looks = []
    real = motion_look.Look.__init__
    monkeypatch.setattr(
        motion_look.Look, "__init__", lambda self, *seen: (looks.append(weakref.ref(self)), real(self, *seen))[1]
    )
    interpolate = as_interpolator(pipe)
    for _ in range(3):
        interpolate(pair[0][0].clone(), pair[1][0].clone(), [0.5])
    gc.collect()
    assert len(looks) == 6
    assert all(look() is None for look in looks)


@pytest.mark.parametrize("side", ["first", "last"])
def test_a_shot_goes_on_as_it_moved(pipe, side):
    """Held against a picture that moves evenly, 6 pixels from frame to frame."""
    base = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    picture = torch.nn.functional.interpolate(base, size=(160, 300), mode="bicubic").clamp(0, 1)
    beyond, end, wanted = (picture[..., place : place + 240] for place in (20, 26, 29))
    around = Around(before=beyond) if side == "first" else Around(after=beyond)
    ends = (end, None) if side == "first" else (None, end)
    made = pipe(*ends, [0.5], around=around)

    def miss(frame):
        return (frame - wanted)[..., 16:-16].square().mean()

    assert miss(made.frames[:, :, 0]) < 0.1 * miss(end)
    assert made.frames.shape == (1, 3, 1, 160, 240)
    assert made.confidence[..., 16:-16].mean() > 0.8


def test_without_a_frame_beyond_the_network_makes_motion_up(pipe, pair):
    alone = pipe(pair[0], None, [0.5]).frames
    far = pipe(pair[0], None, [0.5], around=Around(before=pair[1], lead=3)).frames  # too far off to tell
    torch.testing.assert_close(alone, far)


def test_a_fourth_plane_is_moved_as_the_picture_is_and_changes_nothing_in_it(pipe, pair):
    with torch.no_grad():
        pipe.vae.synthesis.head.weight.zero_()  # no residual: what a plane shows is where it moved to
        pipe.vae.synthesis.head.bias.zero_()
    alone = pipe(*pair, [0.3, 0.6]).frames
    opaque = pipe(*(torch.cat((each, torch.ones_like(each[:, :1])), dim=1) for each in pair), [0.3, 0.6]).frames
    assert opaque.shape[1] == 4
    torch.testing.assert_close(opaque[:, :3], alone, rtol=0, atol=5e-7)
    torch.testing.assert_close(opaque[:, 3], torch.ones_like(opaque[:, 3]), rtol=0, atol=5e-7)
    beside = pipe(*(torch.cat((each, each[:, :1]), dim=1) for each in pair), [0.3, 0.6]).frames
    within = (beside[:, 3] - alone[:, 0]).abs()  # but for the bicubic overshoot that alpha does not have
    assert within.median() == 0
    assert (beside[:, 3] - pair[0][:, 0, None]).abs().max() > 0.01


def observed(pipe, frames, around, tau=(0.5,)):
    return pipe.family.observe(pipe.family.pair(*pipe.look(*frames, around), tau=torch.tensor([tau])))[1]


def test_what_the_frames_around_let_expect_takes_the_place_of_the_networks_guess(pipe):
    """Where something hints, in the part of the correction that both flows share; everywhere else nothing changes."""
    frames = torch.rand(4, 1, 3, 64, 96)
    around = Around(frames[0], frames[3])
    draft = observed(pipe, frames[1:3], around)
    x0 = torch.randn(1, pipe.vae.config.latent_channels, 1, *draft.doubt.shape[-2:])
    believing, code = pipe.family.believing(draft)
    z, told = (pipe.vae.unscale(rows(x)) for x in (x0, pipe.family.believed(x0, code, draft)))
    assert (draft.hinted > 0).all()
    cells, within = told_finely(draft.shares, draft.strayed)
    torch.testing.assert_close(told[:, :2].sinh() * draft.doubt[:, :2], cells, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(told[:, 2:], z[:, 2:])
    assert within.abs().max() > 1e-3
    for before, after in zip(draft.flows, believing.flows, strict=True):
        torch.testing.assert_close(after - before, within, atol=1e-5, rtol=0)
    alone = observed(pipe, frames[1:3], ALONE)
    draft, code = pipe.family.believing(alone)
    torch.testing.assert_close(pipe.family.believed(x0, code, alone), x0)
    assert all(torch.equal(before, after) for before, after in zip(alone.flows, draft.flows, strict=True))
    one = pipe.reconstruct(*frames[1:3], [0.5], "believed", around=around)
    assert not torch.equal(one, pipe.reconstruct(*frames[1:3], [0.5], "draft", around=around))


def test_the_shares_of_the_frames_around_are_drawn_once_a_pair(pipe):
    """The same at all of its instants, another one with another seed, none in one step; and as wide as told."""
    frames = torch.rand(4, 1, 3, 64, 96)
    draft = observed(pipe, frames[1:3], Around(frames[0], frames[3]), (0.25, 0.5))
    shape = (1, pipe.vae.config.latent_channels, 2, *draft.doubt.shape[-2:])
    pipe.scheduler.register_to_config(sides=0.5)

    def noise(seed: int, position: int = 0) -> torch.Tensor:
        return sides(0.5 * 2.0, keyed(draft.tau[None], seed, 0, position), shape)

    assert noise(0).shape == (2, 2, *shape[-2:])
    other = sides(0.5 * 2.0, keyed(torch.tensor([[0.75]]), 0, 0, 0), (*shape[:2], 1, *shape[-2:]))
    torch.testing.assert_close(noise(0)[:1], other, rtol=0, atol=0)  # of instants that are asked for another time
    assert sides(0.0, keyed(draft.tau[None], 0, 0, 0), shape) is None
    torch.testing.assert_close(noise(0)[0], noise(0)[1], rtol=0, atol=0)
    assert not torch.equal(noise(0), noise(1))
    assert not torch.equal(noise(0), noise(0, 1))
    assert torch.cat([noise(seed) for seed in range(20)]).std() == pytest.approx(1.0, abs=0.1)

    def made(seed: int, **how: float) -> torch.Tensor:
        return pipe(*frames[1:3], [0.5], around=Around(frames[0], frames[3]), seed=seed, **how).frames

    assert (made(0, num_inference_steps=1) - made(1, num_inference_steps=1)).abs().max() == 0
    pipe.scheduler.register_to_config(spread=0.0)  # nothing is left of the network's samples
    assert (made(0) - made(1)).abs().max() > 1e-3
    assert (made(0, temperature=0.0) - made(1, temperature=0.0)).abs().max() == 0


@pytest.mark.parametrize("steps", [1, 2])
def test_a_call_shows_what_is_believed_where_there_is_something_to_believe(pipe, steps):
    frames = torch.rand(4, 1, 3, 64, 96)

    def made(around: Around) -> torch.Tensor:
        return pipe(*frames[1:3], [0.5], around=around, num_inference_steps=steps).frames

    around = Around(frames[0], frames[3])
    before, alone = made(around), made(ALONE)
    pipe.vae.context.belief.g[-1].bias.data += 1  # believes more
    assert (made(around) - before).abs().max() > 1e-3
    torch.testing.assert_close(made(ALONE), alone, rtol=0, atol=0)


def test_the_teacher_believes_what_the_product_draws(pipe, monkeypatch):
    frames, drawn = torch.rand(4, 1, 3, 64, 96), list[torch.Tensor]()
    around, believing = Around(frames[0], frames[3]), MotionFamily.believing
    pipe.scheduler.register_to_config(sides=0.5)

    def noting(self, draft, noise=None):
        drawn.append(noise)
        return believing(self, draft, noise)

    monkeypatch.setattr(MotionFamily, "believing", noting)
    how = {"around": around, "seed": 3, "position": 5, "temperature": 1.5, "teacher_steps": 1}
    for name in ("ect2", "teacher"):
        pipe.reconstruct(*frames[1:3], [0.25, 0.5], name, **how)
    product, teacher = drawn
    assert product.std() > 0.3
    torch.testing.assert_close(teacher, product, rtol=0, atol=0)


MADE = {
    "a call": lambda pipe, pair: pipe(*pair, [0.5]).frames,
    "a rung": lambda pipe, pair: pipe.reconstruct(*pair, [0.5], "ect1"),
    "an interpolator": lambda pipe, pair: as_interpolator(pipe)(*(end[0] for end in pair), [0.5]),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_what_is_made_can_be_learned_from(pipe, pair, make):
    """Though it is made in inference mode."""
    frames = make(pipe, pair)
    frames += 0.1
    gain = torch.ones((), requires_grad=True)
    (gain * frames).square().mean().backward()
    assert gain.grad > 0
