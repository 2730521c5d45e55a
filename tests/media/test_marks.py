"""Languages, titles and marks of streams: said again, in the container's own code, or named with the reason why not."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from vidcm.media.marks import MARKS, language_in
from vidcm.media.reader import open_reader
from vidcm.media.writer import VideoWriter


@pytest.fixture
def film(make_clip, tmp_path) -> Path:
    """Pictures, and a sound that is a comment for those who hear badly, in German."""
    path = tmp_path / "in.mkv"
    with av.open(str(make_clip(count=4))) as source, av.open(str(path), "w") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        audio = target.add_stream("aac", rate=48000, layout="mono")
        audio.metadata.update(language="deu", title="Kommentar")
        audio.disposition = Disposition.comment | Disposition.hearing_impaired
        for packet in source.demux():
            if packet.size:
                packet.stream = video
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        target.mux(audio.encode(frame))
        target.mux(audio.encode(None))
    return path


def copied(source: Path, target: Path) -> tuple[list[str], str | None, int, str | None]:
    """(what was dropped; language, marks and title of the sound)."""
    with (
        open_reader(source, rotate=False) as reader,
        VideoWriter(target, reader.info, rate=Fraction(25), copy_from=source) as writer,
    ):
        for frame in reader:
            writer.write(frame, frame.instant)
    with av.open(str(target)) as container:
        sound = container.streams.audio[0]
        said = sound.metadata
        marks = sum(mark for mark in MARKS if sound.disposition & mark)
        return writer.dropped, said.get("language"), marks, said.get("title", said.get("name"))


@pytest.mark.parametrize("name", ["out.mkv", "out.mp4"])
def test_what_is_said_of_a_sound_is_said_again(film, tmp_path, name):
    both = Disposition.comment | Disposition.hearing_impaired
    assert copied(film, tmp_path / name) == ([], "deu", both, "Kommentar")


def test_what_has_no_place_is_named_and_a_language_has_its_other_code(film, tmp_path):
    reason = "audio stream 1: mov has no place for the mark comment, the mark hearing impaired"
    assert copied(film, tmp_path / "out.mov") == ([reason], "ger", 0, "Kommentar")


@pytest.mark.parametrize(
    ("container", "language", "kept"),
    [
        ("mov", "deu", "ger"),
        ("mov", "fre", "fra"),
        ("mov", "cze", "ces"),
        ("mov", "eng", "eng"),
        ("mov", "haw", "haw"),  # none that it knows: named elsewhere
        ("mp4", "deu", "deu"),
        ("matroska", "de-AT", "de-AT"),
        ("webm", "fre", "fre"),
    ],
)
def test_a_language_is_told_by_the_code_that_a_container_keeps(container, language, kept):
    assert language_in(container, language) == kept


def test_a_language_without_a_code_is_named(film, tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        copies = [target.add_stream_from_template(stream) for stream in source.streams]
        copies[1].metadata["language"] = "haw"
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                target.mux(packet)
    (reason,), *_ = copied(path, tmp_path / "out.mov")
    assert reason == "audio stream 1: mov has no place for the language haw"
