"""`scripts/pieces.py`: what is split is joined again, or the first thing that is wrong is told."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "pieces.py"


def pieces(*words) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Some 40 KiB in two files, an empty one and a folder in the folder."""
    made = tmp_path / "model"
    (made / "vae").mkdir(parents=True)
    (made / "vae" / "weights.bin").write_bytes(np.random.default_rng(0).bytes(40_000))
    (made / "index.json").write_text('{"a": 1}\n')
    (made / "empty").touch()
    return made


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("what", ["", "vae/weights.bin", "empty"])
def test_what_is_split_is_joined_again(folder, tmp_path, what):
    whole, out, back = folder / what, tmp_path / "pieces", tmp_path / "back"
    done = pieces("split", whole, "-o", out, "--mib", 0.01)
    assert done.returncode == 0, done.stderr
    sizes = [file.stat().st_size for file in out.iterdir() if file.name != "pieces.json"]
    assert max(sizes) <= 0.01 * 2**20
    assert len(sizes) == {"": 5, "vae/weights.bin": 4, "empty": 1}[what]
    assert pieces("join", out, "-o", back).returncode == 0
    if what:
        assert back.read_bytes() == whole.read_bytes()
    else:
        assert content(back) == content(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "model", "pieces"]  # nothing left aside


def test_the_same_content_gives_the_same_pieces_again_in_the_same_place(folder, tmp_path):
    found = []
    for time in (1e9, 1.5e9):
        os.utime(folder / "index.json", (time, time))
        assert pieces("split", folder, "-o", tmp_path / "pieces", "--mib", 0.01).returncode == 0
        found.append(content(tmp_path / "pieces"))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            lambda out: (out / "model.002").write_bytes(b"x"),
            "model.002 is not what was split (1 bytes): fetch it again",
        ),
        (lambda out: (out / "model.001").unlink(), "1 of 5 pieces are not in"),
        (lambda out: (out / "pieces.json").unlink(), "holds no pieces.json"),
        (lambda out: (out / "pieces.json").write_text("{"), "pieces.json is damaged"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_and_nothing_is_left(folder, tmp_path, harm, said):
    assert pieces("split", folder, "-o", tmp_path / "pieces", "--mib", 0.01).returncode == 0
    harm(tmp_path / "pieces")
    done = pieces("join", tmp_path / "pieces", "-o", tmp_path / "back")
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "pieces"]


def test_pieces_in_another_order_are_refused(folder, tmp_path):
    assert pieces("split", folder, "-o", tmp_path / "pieces", "--mib", 0.01).returncode == 0
    index = json.loads((tmp_path / "pieces" / "pieces.json").read_text())
    index["pieces"][0], index["pieces"][1] = index["pieces"][1], index["pieces"][0]
    (tmp_path / "pieces" / "pieces.json").write_text(json.dumps(index))
    assert "not in the order" in pieces("join", tmp_path / "pieces", "-o", tmp_path / "back").stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["split", "{folder}/nowhere", "-o", "{folder}/p"], 2, "does not exist"),
        (["split", "{folder}", "-o", "{folder}/p", "--mib", "0"], 2, "--mib must be above 0"),
        (["split", "{folder}/empty", "-o", "{folder}/vae"], 1, "exists and holds no pieces: choose another folder"),
        (["join", "{folder}", "-o", "{folder}/vae"], 1, "exists: choose another name"),
    ],
)
def test_wrong_use_is_refused_and_nothing_is_overwritten(folder, words, code, said):
    before = content(folder)
    done = pieces(*(word.format(folder=folder) for word in words))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert content(folder) == before
