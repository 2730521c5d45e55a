from dataclasses import replace

import numpy as np
import pytest
import torch

from vidcm import families
from vidcm.core.errors import UserError
from vidcm.core.working import working_size
from vidcm.families import motion_look
from vidcm.families.motion import MotionFamily
from vidcm.families.motion_look import measure, no_motion, resize
from vidcm.families.motion_objective import MotionObjective
from vidcm.models.acceleration import HINTS
from vidcm.models.correlation import correlation
from vidcm.models.motion_code import PARTS, compress, parts, significant, surprise
from vidcm.models.motion_context import consistency_error
from vidcm.models.motion_vae import rows
from vidcm.models.video_dit import VideoDiT
from vidcm.models.warp import warp
from vidcm.training.draws import SampleDraws

TINY = {
    "vae": {"latent_channels": 6, "condition_channels": 16, "local_channels": 8, "widths": [4, 8, 8, 16]},
    "dit": {"dim": 32, "depth": 2, "heads": 2},
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_family_is_found_by_its_name():
    assert "motion" in families.available()
    assert families.get("motion") is MotionFamily


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        ((256, 448), (256, 448)),
        ((320, 568), (256, 448)),
        ((720, 1280), (480, 848)),
        ((1080, 1920), (512, 912)),
        ((1920, 1080), (912, 512)),
        ((2160, 3840), (512, 912)),
        ((30, 40), (64, 64)),
    ],
)
def test_motion_is_found_at_two_thirds_of_the_size_within_bounds(size, wanted):
    assert working_size(*size) == wanted


@pytest.mark.parametrize(
    ("size", "finer", "preset"),
    [((256, 448), 1, "fine"), ((576, 608), 1, "fine"), ((576, 608), 1.5, "fine"), ((600, 640), 1, "medium")],
)
def test_single_pixels_are_matched_on_small_pictures_alone(size, finer, preset, monkeypatch):
    """Usually small: where motion is looked for finer than usual it is not looked for less."""
    asked = []
    monkeypatch.setattr(
        motion_look, "dis_flow", lambda a, b, name: asked.append(name) or np.zeros((2, *a.shape), np.float32)
    )
    first, last = (motion_look.Look(torch.zeros(1, 3, *size), finer) for _ in range(2))
    height, width = first.small.shape[-2:]
    assert first.motion_to(last).shape == (1, 2, height // 4, width // 4)
    measure(torch.zeros(1, 3, 400, 448), torch.zeros(1, 3, 400, 448))
    assert asked == [preset, "medium"]


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((256, 448), (384, 672)), ((540, 960), (512, 912)), ((1080, 1920), (512, 912)), ((100, 150), (144, 224))],
)
def test_a_finer_look_is_larger_up_to_the_same_bound_and_stored_with_the_model(size, wanted, family, tmp_path):
    assert working_size(*size, finer=1.5) == wanted
    family.vae.register_to_config(finer=1.5)
    family.save(tmp_path / "model")
    look = MotionFamily.load(tmp_path / "model").look(torch.rand(1, 3, *size))
    assert tuple(look.small.shape[-2:]) == wanted


def test_latents_have_the_shape_the_dit_expects_and_follow_the_generator(family, batch):
    x0, condition = family.encode(batch, generator=generator())
    again, _ = family.encode(batch, generator=generator())
    other, _ = family.encode(batch, generator=generator(1))
    assert x0.shape == (2, 6, 3, 4, 6)
    assert torch.equal(x0, again)
    assert not torch.equal(x0, other)
    angle = torch.full((2, 1, 1, 1, 1), 0.7)
    assert family.denoiser(condition)(x0, angle).shape == x0.shape
    assert torch.equal(family.denoiser(condition)(x0, 0 * angle), x0)  # f(x, 0) = x


def test_running_statistics_bring_latents_to_unit_deviation(family):
    z = 3 * torch.randn(64, 6, 8, 8, generator=generator()) + 2
    for _ in range(3000):
        family.vae.follow(z)
    scaled = family.vae.scale(z)
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(6), atol=1e-2, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.ones(6), atol=1e-2, rtol=0)
    torch.testing.assert_close(family.vae.unscale(scaled), z)


def test_the_content_of_an_absent_end_changes_nothing(family, batch):
    """What stands for the second pair's missing last frame differs; flows of an absent end are zero by contract."""
    batch["flow_forward"][1] = batch["flow_backward"][1] = 0
    batch["flow_to_last"][1] = 0
    other = dict(batch, last=batch["last"].clone())
    other["last"][1] = torch.rand(3, 64, 96)
    results = []
    for told in (batch, other):
        ends, draft = family.observe(told)
        z, _ = family.infer(told, draft, family.wanted(told, ends, draft))
        motion = family.vae.decode(z, ends, draft)
        full = (told[name].repeat_interleave(3, dim=0) for name in ("first", "last"))
        frame, doubt = family.vae.synthesis(motion, *full, draft.present)
        results.append([x[3:] for x in (draft.condition, z, frame, doubt)])
    for one, two in zip(*results, strict=True):
        torch.testing.assert_close(one, two)


def test_two_equal_frames_give_that_frame(family):
    """Where both warps agree the residual vanishes, and an untrained mask chooses between equals."""
    flat = torch.full((1, 3, 64, 64), 0.4)
    batch = family.pair(family.look(flat), family.look(flat), tau=torch.tensor([[0.3]]))
    ends, draft = family.observe(batch)
    motion = family.vae.decode(torch.randn(1, 6, 4, 4), ends, draft)
    frame, doubt = family.vae.synthesis(motion, flat, flat, draft.present)
    torch.testing.assert_close(frame, flat)
    assert doubt.max() < 1e-6


def test_strips_make_the_frame_of_the_whole(family, batch):
    ends, draft = family.observe(batch)
    motion = family.vae.decode(torch.randn(6, 6, 4, 6, generator=generator()), ends, draft)
    full = [torch.rand(6, 3, 130, 194, generator=generator(i)) for i in (1, 2)]
    whole = family.vae.synthesis(motion, *full, draft.present)
    strips = family.vae.synthesis(motion, *full, draft.present, strip=194 * 34)
    for one, two in zip(whole, strips, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_the_latent_moves_pixels_and_refinement_is_bounded(family, batch):
    ends, draft = family.observe(batch)
    motion = family.vae.decode(torch.randn(6, 6, 4, 6, generator=generator()), ends, draft)
    (corrected, _), (refined, _) = motion.stages
    for before, after in zip(corrected, refined, strict=True):
        assert (after - before).abs().max() <= family.vae.decoder.reach
    still = family.vae.decode(torch.zeros(6, 6, 4, 6), ends, draft)
    assert not torch.allclose(still.flows[0], motion.flows[0])


def test_gradients_reach_every_weight_of_the_vae(family, batch):
    family.vae.train()
    loss, logs = family.vae_loss(batch, generator=generator(), samples_seen=20_000)
    assert loss.shape == (2,)
    assert all(isinstance(value, float) for value in logs.values())
    loss.mean().backward()
    silent = [name for name, p in family.vae.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_the_decoder_stage_trains_the_decoder_alone(family, batch):
    loss, _ = family.decoder_loss(batch, generator=generator(), samples_seen=20_000)
    loss.mean().backward()
    trained = set(map(id, family.trainable("decoder").parameters()))
    for module in family.modules():
        for name, parameter in module.named_parameters():
            assert (parameter.grad is not None) <= (
                id(parameter) in trained or "context.null" in name or "pyramid" in name
            )
    assert all(p.grad is None for p in family.dit.parameters())


def decoder_gradient(family, batch, *parts: slice) -> torch.Tensor:
    """Of the mean over the batch, gathered part by part, each sample with noise of its own."""
    family.trainable("decoder").zero_grad()
    for part in parts:
        some = {name: value[part] for name, value in batch.items()}
        count, draw = len(some["tau"]), generator()
        with SampleDraws(draw, count, lambda sample, number, first=part.start: 100 * number + first + sample):
            loss, _ = family.decoder_loss(some, generator=draw, samples_seen=20_000)
        (loss.sum() / len(batch["tau"])).backward()
    return torch.cat([p.grad.flatten() for p in family.trainable("decoder").parameters()])


def test_pairs_together_tune_the_decoder_as_one_by_one(family, batch):
    """Also where the shares of the frames around are drawn, which changes what it is tuned on."""
    family.scheduler.register_to_config(sides=0.5)
    together, one_by_one = (
        decoder_gradient(family, batch, *parts) for parts in ([slice(0, 2)], [slice(0, 1), slice(1, 2)])
    )
    assert (together - one_by_one).norm() < 1e-3 * together.norm()  # what the random sampler makes of roundings
    family.scheduler.register_to_config(sides=0.0)
    assert (decoder_gradient(family, batch, slice(0, 2)) - together).norm() > 1e-2 * together.norm()


def test_kl_and_flow_terms_follow_their_schedules():
    objective = MotionObjective(kl=0.5, kl_start=100)
    assert [objective.kl_at(n) for n in (0, 100, 150, 200, 10_000)] == [0, 0, 0.25, 0.5, 0.5]


def test_working_scales_are_kept_to_sizes_that_divide():
    objective = MotionObjective(scales=(0.0, 0.0, 1.0))
    assert objective.working_scale(torch.zeros(1, 3, 128, 192), generator()) == 4
    assert objective.working_scale(torch.zeros(1, 3, 96, 192), generator()) == 2
    assert objective.working_scale(torch.zeros(1, 3, 80, 192), generator()) == 1


def test_measured_motion_of_a_shifted_picture_is_the_shift():
    base = torch.rand(1, 3, 24, 40, generator=generator())
    picture = torch.nn.functional.interpolate(base, size=(96, 160), mode="bicubic").clamp(0, 1)
    flow = measure(picture, picture.roll(8, dims=3))
    inner = flow[:, :, 4:-4, 6:-6]
    assert (inner[:, 0] - 2).abs().mean() < 0.1  # 8 pixels are 2 cells
    assert inner[:, 1].abs().mean() < 0.1
    assert no_motion(picture).shape == flow.shape


def test_shrinking_keeps_the_mean_and_averages():
    checker = (torch.arange(64)[:, None] + torch.arange(64)) % 2
    small = resize(checker.float().expand(1, 3, 64, 64), (16, 16))
    torch.testing.assert_close(small, torch.full((1, 3, 16, 16), 0.5), atol=0.02, rtol=0)


def test_correlation_peaks_where_the_picture_went():
    a = torch.randn(1, 8, 12, 12, generator=generator())
    b = a.roll((2, -1), dims=(2, 3))  # two down, one left
    volume = correlation(a, b, radius=3)
    best = volume[0, :, 5, 5].argmax().item()
    assert (best // 7 - 3, best % 7 - 3) == (2, -1)


@pytest.mark.parametrize("size", [(16, 24), (13, 19), (3, 5)])
@pytest.mark.parametrize("radius", [1, 4])
def test_correlation_is_the_cosine_with_every_neighbour(size, radius):
    a, b = (torch.randn(2, 6, *size, generator=generator(seed)) for seed in (0, 1))
    found = correlation(a, b, radius)
    height, width = size
    padded = torch.nn.functional.pad(b, (radius,) * 4)
    shifts = range(2 * radius + 1)
    shifted = [padded[..., dy : dy + height, dx : dx + width] for dy in shifts for dx in shifts]
    torch.testing.assert_close(found, torch.stack([torch.cosine_similarity(a, x) for x in shifted], dim=1))


def test_consistency_error_is_zero_for_inverse_flows_only():
    flow = torch.ones(1, 2, 8, 8)
    assert consistency_error(flow, -flow).max() < 1e-6
    assert consistency_error(flow, flow).min() > 0.8


def test_doubt_learns_how_far_the_flows_are_off(family, batch):
    """The likelihood pulls the doubt, and nothing else that decodes does."""
    ends, draft = family.observe(batch)
    z, _ = family.infer(batch, draft, family.wanted(batch, ends, draft))
    motion = family.vae.decode(z, ends, draft)
    (motion.flows[0].sum() + motion.mask.sum()).backward()
    assert family.vae.context.doubt.bias.grad is None
    ends, draft = family.observe(batch)
    surprise(parts(family.wanted(batch, ends, draft)[..., ::4, ::4]), draft.doubt).mean().backward()
    assert family.vae.context.doubt.bias.grad.abs().min() > 0


def test_where_nothing_is_doubted_the_latent_moves_nothing(family, batch):
    ends, draft = family.observe(batch)
    certain = replace(draft, doubt=torch.full_like(draft.doubt, 1e-6))
    (to_first, to_last), _ = family.vae.decode(torch.randn(6, 6, 4, 6), ends, certain).stages[0]
    torch.testing.assert_close(to_first, draft.flows[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(to_last, draft.flows[1], atol=1e-4, rtol=0)


def test_a_decibel_weighs_alike_on_easy_and_hard_scenes():
    objective = MotionObjective(level=1e-9)
    error = torch.tensor([0.002, 0.02, 0.2])
    weighed = objective.weigh(error) * error
    torch.testing.assert_close(weighed / weighed[0], torch.ones(3))


def test_rows_and_batches_agree_on_the_order_of_instants(family, batch):
    ends, draft = family.observe(batch)
    torch.testing.assert_close(draft.tau.view(2, 3), batch["tau"])
    one = {name: value[1:] for name, value in batch.items()}
    _, alone = family.observe(one)
    torch.testing.assert_close(alone.local, draft.local[3:], atol=1e-5, rtol=1e-5)
    assert rows(batch["frames"]).shape[0] == len(draft.tau)
    assert ends.present.tolist() == [[1, 1], [1, 0]]


def test_an_untrained_posterior_writes_the_code_and_the_decoder_reads_it_back(batch):
    """What the shipped recipe starts from: z moves the flows towards the measured ones before anything is learned."""
    torch.manual_seed(0)
    family = MotionFamily.create(TINY)
    ends, draft = family.observe(batch)
    wanted = family.wanted(batch, ends, draft)
    mean, _ = family.infer(batch, draft, wanted)
    code = compress(significant(parts(torch.nn.functional.avg_pool2d(wanted, 4))), draft.doubt)
    torch.testing.assert_close(mean[:, :PARTS], code)
    torch.testing.assert_close(family.vae.decoder.read(mean), code)


def test_the_code_is_read_in_full_precision(family):
    z = torch.randn(2, 6, 4, 6, generator=generator())
    with torch.autocast("cpu", torch.bfloat16):
        told = family.vae.decoder.read(z)
    torch.testing.assert_close(told, family.vae.decoder.read(z))


def scene_of(speed, pull, times, seed=0):
    """A texture that moves by speed t + pull t^2 / 2, (x, y) in pixels, at each of the times: [1, 3, 96, 128] each."""
    big = torch.rand(1, 3, 40, 48, generator=torch.Generator().manual_seed(seed))
    big = torch.nn.functional.interpolate(big, size=(240, 288), mode="bicubic", align_corners=False).clamp(0, 1)
    frames = []
    for t in times:
        x, y = (v * t + a * t * t / 2 for v, a in zip(speed, pull, strict=True))
        flow = torch.tensor([80 - x, 72 - y]).view(1, 2, 1, 1).expand(1, 2, 96, 128)
        frames.append(warp(big, flow))
    return frames


def test_hints_of_measured_motion_are_the_deviation_from_even_motion(family):
    """From pictures to hints: unequal steps, two pairs, two instants, motion of either axis."""
    lead, trail, tau = 1.5, 0.75, torch.tensor([[0.25, 0.5], [0.25, 0.5]])
    scenes = [((6.0, -2.0), (4.0, 0.0), 0), ((-4.0, 0.0), (0.0, -5.0), 1)]
    before, first, last, after = (
        torch.cat(frames)
        for frames in zip(*(scene_of(v, a, (-lead, 0, 1, 1 + trail), seed) for v, a, seed in scenes), strict=True)
    )
    looks = [family.look(frame) for frame in (first, last, before, after)]
    _, draft = family.observe(family.pair(*looks[:2], tuple(looks[2:]), (lead, trail), tau=tau))
    told = draft.hints.view(2, 2, HINTS, *draft.hints.shape[-2:])[..., 1:-1, 1:-1]
    unit = draft.doubt.view(2, 2, PARTS, *draft.doubt.shape[-2:])[..., 1:-1, 1:-1]
    for pair, (_, pull, _) in enumerate(scenes):
        for instant, t in enumerate(tau[pair].tolist()):
            for side in (0, 5):
                seen = told[pair, instant, side : side + 2].sinh() * unit[pair, instant, :2]
                wanted = torch.tensor(pull) * t * (1 - t) / 2 / 4  # in cells of four pixels
                torch.testing.assert_close(seen.flatten(1).median(1).values, wanted, atol=0.03, rtol=0.15)


def test_a_pair_that_stands_still_is_told_nothing(family):
    before, first, after = scene_of((9.0, 0.0), (0.0, 0.0), (-1, 0, 1))
    looks = [family.look(frame) for frame in (first, first.clone(), before, after)]
    batch = family.pair(*looks[:2], tuple(looks[2:]), tau=torch.tensor([[0.5]]))
    assert not batch["beyond_present"].any()


def test_a_frame_that_is_no_time_off_is_left_out(family):
    frames = scene_of((6.0, 0.0), (2.0, 0.0), (-1, 0, 1, 2))
    before, first, last, after = (family.look(frame) for frame in frames)
    batch = family.pair(first, last, (before, after), (0.0, 1.0), tau=torch.tensor([[0.5]]))
    assert batch["beyond_present"].tolist() == [[False, True]]
    assert family.observe(batch)[1].hints.isfinite().all()


def test_scales_of_the_working_size_do_not_change_what_is_hinted(family):
    """Half the size, half the cells that things move: flows are measured in the cells of their grid."""
    frames = scene_of((8.0, 0.0), (6.0, 0.0), (-1, 0, 1, 2))
    before, first, last, after = (family.look(frame) for frame in frames)
    batch = family.pair(first, last, (before, after), tau=torch.tensor([[0.5]]))
    full, half = (family.observe(batch, scale)[1] for scale in (1, 2))
    seen = [(d.hints[:, :1].sinh() * d.doubt[:, :1]).median() for d in (full, half)]
    torch.testing.assert_close(seen[1], seen[0] / 2, atol=0.03, rtol=0.1)


def test_weights_of_another_version_are_refused_in_one_line(family, tmp_path):
    vae = family.vae.config
    family.dit = VideoDiT(vae.latent_channels, vae.condition_channels, vae.widths[-1], dim=32, depth=1, heads=2)
    family.save(tmp_path / "old")
    with pytest.raises(UserError, match="another version") as caught:
        MotionFamily.load(tmp_path / "old")
    assert "\n" not in str(caught.value)
