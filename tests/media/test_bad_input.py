"""Each bad input: one line that names the file and what is wrong with it."""

import warnings

import av
import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.media.info import MediaWarning
from vidcm.media.reader import open_reader


def _refusal(path) -> str:
    with pytest.raises(UserError) as caught:
        open_reader(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    return message


def test_a_missing_file_a_folder_and_an_empty_file_are_told_apart(tmp_path):
    assert "no such file" in _refusal(tmp_path / "missing.mp4")
    (tmp_path / "folder.mp4").mkdir()
    assert "folder" in _refusal(tmp_path / "folder.mp4")
    (tmp_path / "empty.mp4").touch()
    assert "empty" in _refusal(tmp_path / "empty.mp4")


@pytest.mark.parametrize("name", ["text.mp4", "text.mkv", "text.avi", "text.webm", "text"])
def test_text_under_another_name_is_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("Dear diary, today I renamed a text file.\n" * 200)
    _refusal(path)


@pytest.mark.parametrize("name", ["noise.mp4", "noise.mkv", "noise.avi", "noise.ts", "noise.mp3", "noise"])
@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_are_refused(tmp_path, name, seed):
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(seed).bytes(50_000))
    _refusal(path)


def test_sound_alone_is_refused_with_what_was_found(tmp_path):
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48000)
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
        silence.sample_rate = 48000
        output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    message = _refusal(path)
    assert "no video" in message
    assert "audio" in message


def test_a_picture_file_counts_as_one_frame_or_is_refused(tmp_path, paint):
    """A photograph is a video of one frame to FFmpeg; the commands refuse it for its length, not the reader."""
    path = tmp_path / "photo.png"
    av.VideoFrame.from_ndarray(paint(0), "rgb24").save(str(path))
    with open_reader(path) as reader:
        assert len(list(reader)) == 1


def test_an_unreadable_index_is_refused(make_clip):
    path = make_clip(count=30)  # the index of an MP4 lies at its end
    path.write_bytes(path.read_bytes()[:-800])
    assert "is cut short" in _refusal(path)


def test_a_file_cut_short_gives_what_there_is_and_warns(make_clip):
    path = make_clip(count=60, container_options={"movflags": "+faststart"}, options={"crf": "1"})
    with open_reader(path) as reader:
        whole = [frame.rgb for frame in reader]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_reader(path) as reader, pytest.warns(MediaWarning, match=r"clip\.mp4"):
        part = [frame.rgb for frame in reader]
    assert 20 < len(part) < 50
    assert any("cut short" in problem for problem in reader.problems)
    for kept, known in zip(part[:20], whole, strict=False):
        np.testing.assert_array_equal(kept, known)


def test_damage_in_the_middle_is_reported_and_survived(make_clip):
    path = make_clip("hurt.mkv", codec="ffv1", options={}, count=30, gop=1)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(0).bytes(3000)
    path.write_bytes(bytes(data))
    with warnings.catch_warnings(record=True) as caught, open_reader(path) as reader:
        warnings.simplefilter("always")
        frames = list(reader)
    assert len(frames) >= 20
    assert [frame.instant for frame in frames] == sorted({frame.instant for frame in frames})
    assert caught or len(frames) == 30


def test_a_whole_file_raises_no_warning(make_clip):
    for name, fields in [("a.mp4", {}), ("a.mkv", {}), ("a.ts", {"audio": True}), ("b.mp4", {"audio": True})]:
        with warnings.catch_warnings(), open_reader(make_clip(name, **fields)) as reader:
            warnings.simplefilter("error")
            assert len(list(reader)) == 12
            assert reader.problems == []
