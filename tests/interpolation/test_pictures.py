import gc
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from tests.interpolation.rendering import Tally, rendering
from vidcm.core import large
from vidcm.interpolation import pictures
from vidcm.interpolation.lazily import Lazily
from vidcm.interpolation.pictures import Picture, to_bytes, to_floats
from vidcm.interpolation.plan import Factor
from vidcm.media.reader import VideoFrame
from vidcm.media.shots import CutDetector


def frames(count: int) -> list[VideoFrame]:
    def frame(index: int) -> VideoFrame:
        rgb = np.random.default_rng(0).integers(0, 200, (64, 96, 3), dtype=np.uint8) + np.uint8(4 * index)  # one shot
        native = av.VideoFrame.from_ndarray(rgb, "rgb24")
        return VideoFrame(index, Fraction(index), Fraction(1), lambda: native.to_ndarray(), native)

    return [frame(index) for index in range(count)]


class OneByOne:
    """A cross-fade of what is around too; counts the source tensors that live while it works."""

    def __init__(self) -> None:
        self.seen, self.most = [], 0

    def __call__(self, first, last, taus, *, around, shot, position):
        looks = [None if x is None else self.look(x) for x in (first, last, around.before, around.after)]
        return torch.cat([x for x, _ in self.each(first, last, taus, looks=looks, around=around)], dim=1)

    def look(self, frame):
        self.seen.append(weakref.ref(frame))
        return frame.mean()

    def each(self, first, last, taus, *, looks, around, **where):
        gc.collect()
        self.most = max(self.most, sum(each() is not None for each in self.seen))
        beyond = sum(0 if look is None else look for look in looks) / 4
        for tau in taus:
            yield torch.lerp(first, last, tau)[:, None].lerp(beyond, 0.1), torch.full((1,), tau)


def rendered(interpolator, detector=None):
    return list(rendering(Factor(Fraction(4)), interpolator, detector)(iter(frames(6)), Tally()))


def test_frames_made_one_by_one_are_those_made_together():
    together = OneByOne()
    whole = rendered(lambda *ends, **where: together(*ends, **where))
    single = rendered(Lazily(lambda: together))
    for one, two in zip(whole, single, strict=True):
        assert one.planned == two.planned
        assert (two.score is not None) == two.is_made
        if one.is_made:
            np.testing.assert_array_equal(one.shown, two.shown)
    assert [each.score for each in single[1:4]] == [0.25, 0.5, 0.75]


def test_of_large_pictures_the_ends_of_one_pair_are_held(monkeypatch):
    small, tight = OneByOne(), OneByOne()
    usual = rendered(small, CutDetector())
    monkeypatch.setattr(large, "LARGE", 0)
    sparing = rendered(tight, CutDetector())
    assert (tight.most, small.most) == (2, 3)  # the one behind a pair is an end of the next
    for one, two in zip(usual, sparing, strict=True):
        np.testing.assert_array_equal(
            one.shown if one.is_made else one.shown.rgb, two.shown if two.is_made else two.shown.rgb
        )


def test_a_large_picture_keeps_nothing_but_the_decoders_own(monkeypatch):
    monkeypatch.setattr(large, "LARGE", 0)
    (frame,) = frames(1)
    picture, before = Picture(frame), frame.rgb.copy()
    picture.compared()
    tensor = picture.tensor
    assert tensor is picture.tensor
    assert "rgb" not in vars(frame)
    np.testing.assert_array_equal(to_bytes(tensor[:, None])[0], before)
    held = weakref.ref(tensor)
    del tensor
    picture.let_go(is_over=False)
    assert held() is None
    np.testing.assert_array_equal(frame.rgb, before)


def test_a_picture_keeps_its_eight_bits_until_it_was_compared_and_is_a_tensor():
    for steps in (("compared", "tensor"), ("tensor", "compared")):
        (frame,) = frames(1)
        picture = Picture(frame)
        for step, is_kept in zip(steps, (True, False), strict=True):
            _ = picture.compared() if step == "compared" else picture.tensor
            assert ("rgb" in vars(frame)) == is_kept
        tensor = picture.tensor
        picture.let_go(is_over=False)
        assert picture.tensor is tensor
        picture.let_go(is_over=True)
        assert picture.tensor is not tensor
        torch.testing.assert_close(picture.tensor, tensor, rtol=0, atol=0)


@pytest.mark.parametrize("band", [1, 700, 2**20])
def test_samples_are_those_of_the_whole_in_any_band(band, monkeypatch):
    made = 1.4 * torch.rand(3, 2, 21, 33, generator=torch.Generator().manual_seed(0)) - 0.2
    monkeypatch.setattr(pictures, "BAND", band)
    wanted = (made.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 3, 0)
    np.testing.assert_array_equal(to_bytes(made), wanted)
    np.testing.assert_array_equal(to_floats(made), made.clamp(-0.1, 1.1).permute(1, 2, 3, 0))
