"""Whole clips for generators: an even pace whatever the footage's, captions beside them, no motion measured."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.data.batches import Batches, DataConfig
from vidcm.data.clips import ClipCache
from vidcm.data.whole import span, stride

from .clip_makers import numbered_frames

WHOLE = DataConfig(crop=(64, 64), batch_size=4, whole=True, rate=12.0, between={3: 1.0}, flip=0.0, workers=0)


@pytest.fixture
def paces(make_cache):
    """Frames that show their own number: 24 a second, and 60, from 100 on; a clip too short at 12 a second."""
    slow, fast = (tuple(Fraction(i, rate) for i in range(count)) for rate, count in ((24, 14), (60, 40)))
    cache = make_cache(
        slow=(numbered_frames(14), "train", slow),
        fast=(numbered_frames(40, start=100), "train", fast),
        short=(numbered_frames(8, start=200), "train", slow[:8]),
        held=(numbered_frames(14), "val", slow),
    )
    told = {"slow": "a slow one", "fast": "a fast one"}
    clips = tuple(replace(clip, caption=told.get(clip.file, "")) for clip in cache.clips)
    return ClipCache(cache.folder, clips)


def test_frames_of_any_footage_come_at_one_pace_with_their_caption(paces):
    batches = Batches(WHOLE, paces)
    seen = set()
    for step in range(6):
        batch = batches.batch(step)
        assert set(batch) == {"first", "frames", "last", "tau", "first_present", "last_present", "caption"}
        clips = torch.cat((batch["first"][:, :, None], batch["frames"], batch["last"][:, :, None]), dim=2)
        numbers = (clips[:, 0, :, 0, 0] * 255).round().long()
        for row, place in zip(numbers, batch["caption"].tolist(), strict=True):
            fast = bool(row[0] >= 100)
            assert row.diff().tolist() == [5 if fast else 2] * 4
            assert paces.captions[place] == ("a fast one" if fast else "a slow one")
            seen.add(fast)
        torch.testing.assert_close(batch["tau"], torch.tensor([[0.25, 0.5, 0.75]] * 4))
    assert seen == {True, False}  # and none of the one that is too short


def test_the_pace_is_the_nearest_that_leaving_out_gives(paces):
    slow, fast, *_ = paces.clips
    assert [stride(slow, rate) for rate in (None, 60, 24, 16, 12, 8)] == [1, 1, 1, 2, 2, 3]
    assert stride(fast, 16.0) == 4
    assert span(fast, 5, 16.0) == 17


def test_the_window_is_as_large_as_the_picture_lets_it_be(make_cache):
    frames = np.zeros((6, 96, 160, 3), np.uint8)
    frames[:, :, :8] = 255  # what a square window never loses on both sides
    cache = make_cache(wide=(frames, "train", None))
    batches = Batches(replace(WHOLE, rate=None, crop=(96, 160), batch_size=2), cache)
    batch = batches.batch(0)
    assert torch.equal(batch["first"][0, 0], torch.from_numpy(frames[0, :, :, 0]) / 255)


def test_what_no_clip_is_long_enough_for_is_told(paces):
    with pytest.raises(UserError, match="no train clip of 42 frames or more at 12 a second"):
        Batches(replace(WHOLE, between={40: 1.0}), paces)
    with pytest.raises(UserError, match=r"data\.whole takes clips of one length"):
        replace(WHOLE, between={3: 1.0, 7: 1.0})
    with pytest.raises(UserError, match=r"data\.rate must be a number above 0"):
        replace(WHOLE, rate=0.0)
