import json

import pytest

from vidcm.evaluation.report import table, write_json


def test_the_table_is_aligned_and_shows_a_gap_as_a_dash():
    lines = table({"a": {"psnr": 30.123, "gmsd": None}, "longer": {"psnr": 9.0, "gmsd": 0.05}}).splitlines()
    assert [line.split() for line in lines] == [
        ["PSNR", "dB", "GMSD"],
        ["a", "30.12", "-"],
        ["longer", "9.00", "0.0500"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_json_is_written_whole(tmp_path):
    write_json(tmp_path / "out.json", {"a": 1.5, "b": None})
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1.5, "b": None}
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_json_that_cannot_be_written_leaves_what_was_there(tmp_path):
    target = tmp_path / "out.json"
    target.write_text("old")
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"a": float("nan")})
    assert target.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]
