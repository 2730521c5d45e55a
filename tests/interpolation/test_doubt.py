"""What is shown for in-betweens that their maker is not sure of."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.interpolation.rendering import Tally, rendering
from vidcm.core.errors import UserError
from vidcm.core.judged import Judged
from vidcm.interpolation.doubt import Doubt
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import VideoFrame, open_reader

from .odd_media import in_ten_bits

FOUR = Factor(Fraction(4))


def grey_frames(count: int) -> list[VideoFrame]:
    """Frame i is grey of the value 40 i."""

    def frame(index: int) -> VideoFrame:
        picture = np.full((4, 6, 3), 40 * index, np.uint8)
        return VideoFrame(index, Fraction(index, 24), Fraction(1, 24), lambda: picture)

    return [frame(index) for index in range(count)]


def white(first, last, taus, **_):
    """White in-betweens, sure of themselves early in a gap: score 1 - tau."""
    end = last if first is None else first
    return Judged(torch.ones(3, len(taus), *end.shape[1:]), torch.tensor([1 - tau for tau in taus]))


def rendered(doubt, frames=2, **options):
    notes = []
    tally = Tally(note=notes.append)
    list(rendering(FOUR, white, doubt=doubt, **options)(grey_frames(frames), tally))
    return notes, tally


def test_sure_frames_are_shown_and_doubtful_ones_held():
    notes, tally = rendered(Doubt(0.5))
    frames = [note.shown for note in notes[:4]]
    assert [note.kind for note in notes] == ["source", "made", "made", "hold", "source", "end", "end", "end"]
    assert [int(np.max(frame)) for frame in frames[1:3]] == [255, 255]
    assert frames[3] is notes[4].shown  # the nearer source frame itself, which goes to the encoder as it was decoded
    assert [note.score for note in notes[:4]] == [None, 0.75, 0.5, 0.25]
    assert (tally.frames_out, tally.frames_made) == (8, 2)


def test_the_earlier_frame_is_held_up_to_the_middle():
    notes, _ = rendered(Doubt(1.0))
    assert [note.shown.index for note in notes[1:4]] == [0, 0, 1]


def test_or_cross_faded():
    notes, tally = rendered(Doubt(1.0, "crossfade"))
    assert [int(np.max(note.shown)) for note in notes[1:4]] == [10, 20, 30]
    assert [note.kind for note in notes[1:4]] == ["crossfade"] * 3
    assert tally.frames_made == 3


def test_without_a_limit_all_are_shown_with_their_scores():
    notes, _ = rendered(None)
    assert [(note.kind, note.score) for note in notes[1:4]] == [("made", 0.75), ("made", 0.5), ("made", 0.25)]


def test_a_frame_held_at_a_cut_says_so():
    notes, _ = rendered(Doubt(0.9), at_cuts="hold", cuts=frozenset({1}))
    assert [(note.kind, note.score) for note in notes[1:4]] == [("cut", None)] * 3


@pytest.mark.parametrize("fallback", ["hold", "crossfade"])
def test_at_a_cut_the_frame_of_the_own_shot_is_held(fallback):
    """It would be continued, which is no surer than anything else; what lies across the cut has no part in it."""
    notes, _ = rendered(Doubt(0.9, fallback), frames=4, cuts=frozenset({2}))
    assert [(note.kind, note.score) for note in notes[5:8]] == [("hold", 0.75), ("hold", 0.5), ("hold", 0.25)]
    assert [note.shown.index for note in notes[5:8]] == [1, 1, 2]


def test_scores_are_needed(crossfade):
    with pytest.raises(UserError, match="--min-confidence needs a model that scores its frames"):
        list(rendering(FOUR, crossfade, doubt=Doubt(0.5))(grey_frames(2), Tally()))


@pytest.mark.parametrize("least", [-0.1, 1.5, float("nan")])
def test_what_is_no_limit_is_refused(least):
    with pytest.raises(UserError, match="--min-confidence must be between 0 and 1"):
        Doubt(least)


@pytest.mark.parametrize("fallback", ["hold", "crossfade"])
def test_ten_bit_frames_keep_their_depth(tmp_path, make_video, crossfade, fallback):
    interpolate_file(make_video(count=3), tmp_path / "eight.mkv", rule=FOUR, interpolator=crossfade, codec="ffv1")
    source = in_ten_bits(tmp_path / "deep.mkv", tmp_path / "eight.mkv")
    interpolate_file(
        source, tmp_path / "out.mkv", rule=FOUR, interpolator=white, codec="ffv1", doubt=Doubt(1.0, fallback)
    )
    with open_reader(tmp_path / "out.mkv") as reader:
        assert reader.info.bit_depth == 10
        shown = [frame.native.to_ndarray() for frame in reader]
    assert not any((picture[:48] >= 900).all() for picture in shown)  # none of the white ones
    if fallback == "hold":
        np.testing.assert_array_equal(shown[1], shown[0])
        np.testing.assert_array_equal(shown[3], shown[4])
