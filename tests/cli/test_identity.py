"""What is said while an input is read through, and what a resumed run compares."""

import pytest

from vidcm.cli import identity
from vidcm.cli.identity import Identity


@pytest.mark.parametrize(
    ("announced", "is_terminal", "least", "told"),
    [(True, True, 5, True), (True, True, 6, False), (False, True, 0, False), (True, False, 0, False)],
)
def test_a_large_input_is_said_to_be_read(tmp_path, monkeypatch, capsys, announced, is_terminal, least, told):
    (tmp_path / "in.mp4").write_bytes(b"movie")
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(identity, "LARGE", least)
    found = Identity({}, tmp_path / "in.mp4", None, announced)()
    assert ("in.mp4: is read through" in capsys.readouterr().err) == told
    (tmp_path / "in.mp4").write_bytes(b"m0vie")
    assert Identity({}, tmp_path / "in.mp4", None)()["IN"] != found["IN"]


def test_memory_makes_no_other_output_of_a_file_that_is_done(monkeypatch):
    from vidcm.cli import folder
    from vidcm.cli.file import Shared
    from vidcm.core.memory import parse_memory
    from vidcm.core.processes import ALONE

    monkeypatch.setattr(folder, "model_digest", lambda path: "this")
    told = [
        folder._settings(Shared({"codec": codec, "memory": memory}, {"device": "cpu"}, None, {}, False, ALONE))
        for codec, memory in (("h264", None), ("h264", parse_memory("2GiB")), ("hevc", None))
    ]
    assert told[0] == told[1] != told[2]
