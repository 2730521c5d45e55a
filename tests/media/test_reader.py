"""One suite for both backends, then what only PyAV can read."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.media.orientation import Orientation
from vidcm.media.reader import open_reader, read_clip

NTSC = Fraction(30000, 1001)


@pytest.fixture(params=["pyav", "decord"])
def backend(request):
    if request.param == "decord":
        pytest.importorskip("decord", reason="no decord wheel here")
    return request.param


def test_frames_come_in_order_with_exact_instants(backend, make_clip, paint):
    with open_reader(make_clip(rate=NTSC), backend) as reader:
        frames = list(reader)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.instant for frame in frames] == [index / NTSC for index in range(12)]
    assert {frame.duration for frame in frames} == {1 / NTSC}
    for index, frame in enumerate(frames):  # crf 8: a few levels; the next frame is ten times as far
        assert _distance(frame.rgb, paint(index)) < 4 < _distance(frame.rgb, paint(index + 1))


def test_seek_returns_the_frame_that_sequential_decoding_gives(backend, make_clip):
    path = make_clip(count=40, options={"bf": "2", "preset": "veryfast"})
    with open_reader(path, backend) as reader:
        frames = list(reader)
    with open_reader(path, backend) as reader:
        for index in (17, 3, 39, 0, 20, 19, 5, 38):
            found = reader.seek(frames[index].instant + Fraction(1, 100))
            assert (found.index, found.instant) == (index, frames[index].instant)
            np.testing.assert_array_equal(found.rgb, frames[index].rgb)


def test_iteration_goes_on_behind_a_seek(backend, make_clip):
    with open_reader(make_clip(), backend) as reader:
        reader.seek(Fraction(6, 25))
        assert [frame.index for frame in reader] == [7, 8, 9, 10, 11]


def test_seek_beyond_the_ends_gives_the_first_and_the_last_frame(backend, make_clip):
    with open_reader(make_clip(), backend) as reader:
        assert reader.seek(Fraction(-1)).index == 0
        assert reader.seek(Fraction(99)).index == 11


def test_odd_sizes_are_read_whole(backend, make_clip):
    path = make_clip("odd.webm", codec="libvpx-vp9", width=63, height=47, options={"crf": "10", "b": "0"})
    with open_reader(path, backend) as reader:
        assert reader.info.display_size == (63, 47)
        assert {frame.rgb.shape for frame in reader} == {(47, 63, 3)}


def test_variable_rate_keeps_every_instant_and_the_last_duration(backend, make_clip):
    instants = [Fraction(ticks, 12800) for ticks in (0, 512, 1400, 1777, 4000, 4400)]
    path = make_clip(instants=instants, time_base=Fraction(1, 12800))
    with open_reader(path, backend) as reader:
        assert reader.info.rate is None
        frames = list(reader)
    assert [frame.instant for frame in frames] == instants
    assert [frame.duration for frame in frames[:-1]] == [b - a for a, b in pairwise(instants)]
    assert frames[-1].duration > 0


def test_the_timeline_agrees_with_the_decoded_frames(backend, make_clip):
    with open_reader(make_clip(count=20), backend) as reader:
        assert reader.timeline.instants == tuple(frame.instant for frame in reader)
        assert reader.timeline.end == Fraction(20, 25)


def test_read_clip_returns_the_asked_frames_and_their_instants(backend, make_clip):
    path = make_clip()
    whole, instants = read_clip(path, backend=backend)
    part, times = read_clip(path, 5, 3, backend=backend)
    assert whole.shape == (12, 48, 64, 3)
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(part, whole[5:8])
    assert times == instants[5:8]


@pytest.mark.parametrize(("start", "count"), [(12, None), (10, 3), (0, 13)])
def test_read_clip_refuses_frames_that_are_not_there(backend, make_clip, start, count):
    with pytest.raises(UserError, match=f"frame {start}"):
        read_clip(make_clip(), start, count, backend=backend)


def test_an_unknown_backend_is_named_with_the_known_ones(make_clip):
    with pytest.raises(UserError, match=r"'ffms'.*pyav, decord"):
        open_reader(make_clip(), "ffms")


def test_decord_refuses_turned_pictures_rather_than_garbling_them(make_clip):
    pytest.importorskip("decord")
    with pytest.raises(UserError, match="pyav"):
        open_reader(make_clip(rotation=90), "decord")


@pytest.mark.parametrize(
    ("rotation", "hflip", "told", "turn"),
    [
        (90, False, Orientation(transpose=True, flip_y=True), lambda p: np.rot90(p)),
        (180, False, Orientation(flip_x=True, flip_y=True), lambda p: np.rot90(p, 2)),
        (-90, False, Orientation(transpose=True, flip_x=True), lambda p: np.rot90(p, -1)),
        (0, True, Orientation(flip_x=True), lambda p: p[:, ::-1]),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_display_matrix_turns_the_picture_upright(make_clip, paint, suffix, rotation, hflip, told, turn):
    path = make_clip("turned" + suffix, rotation=rotation, hflip=hflip, count=3)
    with open_reader(path) as upright, open_reader(path, rotate=False) as coded:
        assert upright.info.orientation == told
        assert upright.info.display_size == ((48, 64) if rotation % 180 else (64, 48))
        for index, (seen, stored) in enumerate(zip(upright, coded, strict=True)):
            assert _distance(stored.rgb, paint(index)) < 4
            assert _distance(seen.rgb, turn(paint(index))) < 4
            np.testing.assert_array_equal(seen.rgb, turn(stored.rgb))


def test_matroska_milliseconds_are_read_as_the_rate_they_stand_for(make_clip):
    with open_reader(make_clip("ntsc.mkv", rate=NTSC, count=25)) as reader:
        frames = list(reader)
    assert reader.info.time_base == Fraction(1, 1000)
    assert reader.info.rate == NTSC
    assert [frame.instant for frame in frames] == [index / NTSC for index in range(25)]
    assert frames[-1].instant + frames[-1].duration == 25 / NTSC


def test_a_late_start_is_kept_and_a_transport_stream_starts_anew(make_clip):
    late = [Fraction(3, 2) + Fraction(index, 25) for index in range(8)]
    with open_reader(make_clip("late.mp4", instants=late, time_base=Fraction(1, 12800))) as reader:
        assert [frame.instant for frame in reader] == late
        assert (reader.info.start, reader.info.origin) == (Fraction(3, 2), 0)
    with open_reader(make_clip("late.ts", audio=True)) as reader:
        assert reader.info.start > 0
        assert 0 <= reader.info.start - reader.info.origin < Fraction(2, 25)
        assert next(iter(reader)).instant == reader.info.start


def test_an_edit_list_hides_what_it_cuts_away(make_clip, tmp_path):
    """A remux from the third frame on keeps the key frame before it, marked as not to be shown."""
    import av

    path, cut = make_clip(count=20, gop=20, options={"preset": "veryfast", "bf": "0"}), tmp_path / "cut.mp4"
    with av.open(str(path)) as source, av.open(str(cut), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None:
                shift = round(Fraction(3, 25) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    with open_reader(path) as whole, open_reader(cut) as part:
        kept = list(part)
        assert kept[0].instant == 0
        assert len(kept) == 17
        np.testing.assert_array_equal(kept[0].rgb, whole.seek(Fraction(3, 25)).rgb)
        np.testing.assert_array_equal(part.seek(Fraction(2, 25)).rgb, kept[2].rgb)


def test_an_edit_list_that_ends_early_hides_the_rest(make_clip):
    path = make_clip(count=20, gop=20, options={"preset": "veryfast", "bf": "0"})
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # behind version and count: the duration, in milliseconds
    assert int.from_bytes(data[at : at + 4], "big") == 800
    data[at : at + 4] = (400).to_bytes(4, "big")
    path.write_bytes(bytes(data))
    with open_reader(path) as reader:
        shown = [frame.instant for frame in reader]
        assert 10 <= len(shown) <= 11
        assert list(reader.timeline.instants) == shown


def test_ten_bits_are_known_and_read_as_eight_or_in_full(make_clip, paint):
    path = make_clip("deep.mkv", codec="ffv1", pix_fmt="yuv444p10le", options={}, count=4)
    with open_reader(path) as reader:
        assert reader.info.bit_depth == 10
        for index, frame in enumerate(reader):
            assert frame.rgb.dtype == np.uint8
            assert np.abs(frame.rgb.astype(int) - paint(index)).max() <= 2
            assert np.abs(255 * frame.samples - frame.rgb).max() <= 1.5  # the uint8 way is up to a level off


def test_eight_bits_are_full_as_they_are(make_clip):
    with open_reader(make_clip(count=1)) as reader:
        (frame,) = reader
        assert frame.samples is frame.rgb


def test_the_info_names_size_colours_aspect_and_other_streams(make_clip):
    path = make_clip("full.mp4", colour=(1, 2, 9, 16), audio=True, sample_aspect=Fraction(4, 3))
    with open_reader(path) as reader:
        info = reader.info
    assert (info.width, info.height, info.codec, info.bit_depth) == (64, 48, "h264", 8)
    assert (info.colour.matrix, info.colour.range, info.colour.primaries, info.colour.transfer) == (1, 2, 9, 16)
    assert info.sample_aspect == Fraction(4, 3)
    assert info.frame_count == 12
    assert info.duration == Fraction(12, 25)
    assert [(other.type, other.codec) for other in info.others] == [("audio", "aac")]


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("range_", [1, 2])
def test_tagged_matrix_and_range_give_back_the_painted_colours(make_clip, paint, matrix, range_):
    path = make_clip("tagged.mkv", codec="ffv1", pix_fmt="yuv444p", options={}, colour=(matrix, range_, 2, 2), count=2)
    for index, rgb in enumerate(read_clip(path)[0]):
        assert np.abs(rgb.astype(int) - paint(index)).max() <= 3


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())
