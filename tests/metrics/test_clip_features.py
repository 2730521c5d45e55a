"""Statistics of clips: distances built on them must rank what is known to be worse."""

import pytest
import torch
import torch.nn.functional as F

from vidcm.metrics.clip_features import Scaling, clip_features
from vidcm.metrics.floor import judged
from vidcm.metrics.kernel import polynomial_distance, rbf_distance
from vidcm.metrics.sliced import sliced_wasserstein

CLIPS, FRAMES, SIDE = 96, 9, 32


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scenes():
    """[N, 3, T, H, W]: textures with edges at several scales, each moving by up to three pixels a frame."""
    generator = seeded(0)
    pictures = torch.zeros(CLIPS, 3, 64, 64)
    for size in (4, 8, 16, 32):
        drawn = torch.randn(CLIPS, 3, size, size, generator=generator) + torch.randn(
            CLIPS, 1, size, size, generator=generator
        )
        pictures += F.interpolate(drawn, 64, mode="nearest") / size**0.5
    contrast = 0.1 + 0.3 * torch.rand(CLIPS, 1, 1, 1, generator=generator)
    pictures = (0.5 + contrast * pictures).clamp(0, 1)
    speeds = torch.randint(-2, 3, (CLIPS, 1, 2), generator=generator)
    jerks = torch.randint(-2, 3, (CLIPS, FRAMES, 2), generator=generator).div(2, rounding_mode="trunc").int()
    steps = (speeds + jerks).cumsum(dim=1).tolist()
    moved = [
        torch.stack([picture.roll(step, (1, 2))[:, :SIDE, :SIDE] for step in path], dim=1)
        for picture, path in zip(pictures, steps, strict=True)
    ]
    return torch.stack(moved)


def blurred(clips, passes):
    frames = clips.transpose(1, 2).flatten(0, 1)
    for _ in range(passes):
        frames = F.avg_pool2d(F.pad(frames, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return frames.unflatten(0, (len(clips), -1)).transpose(1, 2)


def noisy(clips, amount):
    return (clips + amount * torch.randn(clips.shape, generator=seeded(1))).clamp(0, 1)


def frozen(clips, last):
    """The clip stands still after `last` frames."""
    return clips[:, :, torch.arange(clips.shape[2]).clamp(max=clips.shape[2] - 1 - last)]


def shuffled(clips, reach):
    """Each frame moves by up to `reach` places or so, in every clip otherwise."""
    places = torch.arange(clips.shape[2]) + reach * torch.rand(len(clips), clips.shape[2], generator=seeded(2))
    return torch.stack([clip[:, order] for clip, order in zip(clips, places.argsort(dim=1), strict=True)])


def poorer(clips, share):
    """Only the clips of least contrast are left, `share` of them missing."""
    order = clips.flatten(1).std(dim=1).argsort()
    return clips[order[: round(len(clips) * (1 - share))]]


WORSE = {
    blurred: (1, 2, 4),
    noisy: (0.02, 0.05, 0.1),
    frozen: (2, 4, 8),
    shuffled: (1.5, 4.0, 30.0),
    poorer: (0.2, 0.5, 0.8),
}


@pytest.mark.parametrize("worse", WORSE, ids=lambda worse: worse.__name__)
def test_distances_rise_with_every_degradation(scenes, worse):
    features = clip_features(scenes)
    scaling = Scaling.of(features)
    levels = [scaling(clip_features(worse(scenes, amount))) for amount in WORSE[worse]]
    for distance in (sliced_wasserstein, polynomial_distance, rbf_distance):
        found = [judged(distance, level, scaling(features), splits=4) for level in levels]
        values = [each.value for each in found]
        assert values == sorted(values)
        assert values[-1] > found[-1].floor + 4 * found[-1].deviation


def test_statistics_do_not_depend_on_how_many_clips_are_looked_at_at_once(scenes):
    torch.testing.assert_close(clip_features(scenes, chunk=7), clip_features(scenes), rtol=1e-5, atol=1e-5)


def test_every_statistic_of_the_reference_is_scaled_to_unit_deviation(scenes):
    features = clip_features(scenes)
    scaled = Scaling.of(features)(features)
    torch.testing.assert_close(scaled.mean(dim=0), torch.zeros(scaled.shape[1]), rtol=0, atol=1e-4)
    assert (scaled.std(dim=0) < 1.001).all()
    assert (scaled.std(dim=0) > 0.99).double().mean() > 0.95


def test_flat_clips_have_finite_statistics():
    clips = torch.stack((torch.zeros(3, 5, 16, 16), torch.ones(3, 5, 16, 16)))
    features = clip_features(clips)
    assert features.isfinite().all()
    assert Scaling.of(features)(features).isfinite().all()


def test_the_finest_band_sees_a_checkerboard_and_the_coarser_ones_do_not():
    """Of amplitude 0.2: the diagonal band is 0.4 everywhere, so ln(0.4 + 1 / 255); all else is ln(1 / 255)."""
    board = (torch.arange(32)[:, None] + torch.arange(32)) % 2
    features = clip_features((0.5 + 0.2 * (2 * board - 1)).expand(1, 3, 5, 32, 32))[0, 16 + 8 :]
    wanted = torch.full((12,), 1 / 255).log()
    wanted[8:] = torch.tensor(0.4 + 1 / 255).log()
    torch.testing.assert_close(features[:12], wanted, rtol=1e-4, atol=1e-4)
    assert (features[15:27] < -5.5).all()
