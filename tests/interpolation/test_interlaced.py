"""Interlaced input is refused, made whole, or taken as it is, and the report says so."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.reroll import reroll
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader

DOUBLE = Factor(Fraction(2))


@pytest.fixture
def interlaced(tmp_path):
    """A bar that moves by 3 pixels from field to field, ten pictures at 25 a second."""
    path = tmp_path / "fields.mp4"
    with av.open(str(path), "w") as container:
        options = {"qp": "4", "preset": "veryfast", "x264-params": "interlaced=1:tff=1"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(10):
            picture = np.full((64, 96, 3), 30, np.uint8)
            for field in range(2):
                left = 4 + 6 * index + 3 * field
                picture[field::2, left : left + 20] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def luma(path):
    with open_reader(path, rotate=False) as reader:
        return {frame.instant: frame.native.to_ndarray()[: reader.info.height].astype(float) for frame in reader}


def combing(picture):
    """How much more neighbouring lines differ than those of one field."""
    return np.abs(picture[1:] - picture[:-1]).mean() / (np.abs(picture[2:] - picture[:-2]).mean() + 0.1)


def test_it_is_refused_in_one_line_and_leaves_nothing(interlaced, crossfade, tmp_path):
    with pytest.raises(UserError, match=r"fields.mp4: is interlaced.*--interlaced deinterlace") as caught:
        interpolate_file(interlaced, tmp_path / "out.mp4", rule=DOUBLE, interpolator=crossfade)
    assert "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["fields.mp4"]


def test_made_whole_it_has_no_combs_and_every_instant(interlaced, crossfade, tmp_path):
    target = tmp_path / "out.mkv"
    report = interpolate_file(
        interlaced, target, rule=DOUBLE, interpolator=crossfade, codec="ffv1", interlaced="deinterlace"
    )
    before, after = luma(interlaced), luma(target)
    assert list(after) == [Fraction(k, 50) for k in range(20)]
    assert min(combing(picture) for picture in list(before.values())[2:8]) > 3
    assert max(combing(after[instant]) for instant in list(before)[2:8]) < 1.5
    for instant in list(before)[2:8]:  # one field stays, the other is made to fit it
        gaps = [np.abs(after[instant][field::2] - before[instant][field::2]).mean() for field in range(2)]
        assert min(gaps) < 1 < max(gaps)
    assert report.problems == [
        "pictures from 0.000 s on are interlaced: made whole (bwdif), and none of those is as it was decoded"
    ]


def test_taken_as_it_is_every_picture_is_as_it_was_decoded(interlaced, crossfade, tmp_path):
    report = interpolate_file(
        interlaced, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1", interlaced="ignore"
    )
    before, after = luma(interlaced), luma(tmp_path / "out.mkv")
    for instant, picture in before.items():
        np.testing.assert_array_equal(after[instant], picture)
    assert "taken as they are" in report.problems[0]


def test_progressive_pictures_pass_through_the_deinterlacer_untouched(make_video, crossfade, tmp_path):
    source = make_video(count=6)
    report = interpolate_file(
        source, tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade, codec="ffv1", interlaced="deinterlace"
    )
    before, after = luma(source), luma(tmp_path / "out.mkv")
    assert len(after) == 12
    for instant, picture in before.items():
        np.testing.assert_array_equal(after[instant], picture)
    assert report.problems == []


def test_transparent_webm_is_named(tmp_path, crossfade):
    with av.open(str(tmp_path / "in.webm"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=24, options={"cpu-used": "8"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["alpha_mode"] = "1"
        for index in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * index, np.uint8), "rgb24"))
            )
        container.mux(stream.encode(None))
    report = interpolate_file(tmp_path / "in.webm", tmp_path / "out.mkv", rule=DOUBLE, interpolator=crossfade)
    assert report.dropped == ["alpha: it is a picture beside each picture in WebM, which is not decoded"]


def test_a_gap_is_made_again_of_whole_pictures(interlaced, crossfade, tmp_path):
    target, how = tmp_path / "out.mkv", {"rule": DOUBLE, "interpolator": crossfade, "codec": "ffv1"}
    interpolate_file(interlaced, target, interlaced="deinterlace", **how)
    before = luma(target)
    with pytest.raises(UserError, match=r"is interlaced.*--interlaced deinterlace"):
        reroll(interlaced, target, Fraction(9, 50), **how)
    for at in (Fraction(1, 50), Fraction(9, 50), Fraction(15, 50)):
        assert reroll(interlaced, target, at, interlaced="deinterlace", **how).frames_made == 1
    for instant, picture in luma(target).items():
        np.testing.assert_array_equal(picture, before[instant])
