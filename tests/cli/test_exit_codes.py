"""The same mistake ends with the same code in every command: 2 for what was asked, 1 for what files hold."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vidcm.cli.main import cli

from .interpolating import write_video


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with something of every kind, none of it good."""
    monkeypatch.chdir(tmp_path)
    for name in ("clip.mp4", "text.txt", "model.bin"):
        (tmp_path / name).write_text("no video\n" * 50)
    for name in ("folder", "things"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "best").mkdir(parents=True)
    (tmp_path / "run" / "best" / "model_index.json").write_text("{}")
    (tmp_path / "things" / "other.txt").write_text("not ours")
    write_video(tmp_path / "short.mp4", 6)
    (tmp_path / "run.yaml").write_text("steps: many\n")
    (tmp_path / "unknown.yaml").write_text("stepz: 3\n")
    (tmp_path / "good.jsonl").write_text("{}\n")
    (tmp_path / "jobs.jsonl").write_text('{"num_frames": 0}\n')
    return tmp_path


def vidcm(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


MISTAKES = {
    "an input that is not there": [
        "interpolate none.mp4 -o out.mp4 --factor 2",
        "interpolate none_%04d.png -o out.mp4 --factor 2 --input-fps 24",
        "generate -o out.mp4 --image none.png",
        "generate --batch none.jsonl -o out",
        "prepare none -o out",
        "finetune none -o out",
        "train none.yaml",
        "evaluate interpolation none",
    ],
    "an output whose folder is not there": [
        "interpolate clip.mp4 -o none/out.mp4 --factor 2",
        "generate -o none/out.mp4",
        "generate --batch good.jsonl -o none/more/out",
        "evaluate interpolation clip.mp4 --json none/out.json",
    ],
    "an output of the wrong kind": [
        "interpolate clip.mp4 -o folder --factor 2",
        "interpolate folder -o text.txt --factor 2",
        "generate -o folder",
        "prepare clip.mp4 -o text.txt",
        "finetune folder -o text.txt",
        "evaluate interpolation clip.mp4 --json folder",
    ],
    "an output folder that holds something else": ["prepare clip.mp4 -o things"],
    "an output name that says nothing": [
        "interpolate clip.mp4 -o out.xyz --factor 2",
        "generate -o out.xyz",
        "evaluate interpolation clip.mp4 --figure out.xyz",
    ],
    "no model": [
        "interpolate clip.mp4 -o out.mp4 --factor 2 --model none",
        "generate -o out.mp4 --model none",
        "finetune folder -o out --model none",
        "evaluate interpolation clip.mp4 --model none",
        "evaluate generation folder --model none",
    ],
    "the folder of a run": [
        "interpolate clip.mp4 -o out.mp4 --factor 2 --model run",
        "generate -o out.mp4 --model run --image clip.mp4",
        "finetune folder -o out --model run",
        "evaluate interpolation clip.mp4 --model run",
        "evaluate generation folder --model run",
    ],
    "a value out of range": [
        "interpolate clip.mp4 -o out.mp4 --factor 1",
        "interpolate clip.mp4 -o out.mp4 --fps 0",
        "interpolate short.mp4 -o out.mp4 --factor 2 --range 5-6",
        "interpolate short.mp4 -o out.mp4 --factor 2 --range 0.1-0.11",
        "interpolate short.mp4 -o out.mp4 --factor 2 --preview 1s --range 5-",
        "generate -o out.mp4 --size 4x4",
        "generate -o out.mp4 --fps 0",
        "generate -o out.mp4 --seed -1",
        "prepare clip.mp4 -o out --short-side 5",
        "finetune folder -o out --lr -1",
        "train run.yaml steps=many",
        "evaluate interpolation clip.mp4 --size 4x4",
    ],
    "what this model has no place for": [
        "finetune folder -o out --model clip --lora 4",
        "finetune folder -o out --lora 4",
    ],
    "a name that is not known": [
        "interpolate clip.mp4 -o out.mp4 --factor 2 --codec none",
        "interpolate clip.mp4 -o out.mp4 --factor 2 --encoder none",
        "interpolate clip.mp4 -o out.webm --factor 2 --encoder hevc_nvenc",
        "generate -o out.mp4 --sampler none",
        "finetune folder -o out --parts sound",
        "train unknown.yaml",
        "train run.yaml steps=1 stepz=3",
        "evaluate interpolation clip.mp4 --config unknown.yaml",
        "doctor --size 64x64",
    ],
}
DAMAGE = [
    "interpolate clip.mp4 -o out.mp4 --factor 2",
    "prepare clip.mp4 -o out",
    "evaluate interpolation clip.mp4 --methods hold",
    "generate --batch jobs.jsonl -o out",
]


def said(run: Result) -> str:
    """The one line on stderr, progress left aside."""
    assert run.stdout == ""
    (line,) = (line for line in run.stderr.splitlines() if not line.startswith("1/1 "))
    assert line.startswith("Error: ")
    return line


@pytest.mark.parametrize("words", [words for all_words in MISTAKES.values() for words in all_words])
def test_wrong_use_ends_with_2_and_leaves_nothing(words: str, place: Path) -> None:
    before = sorted(place.rglob("*"))
    run = vidcm(*words.split())
    assert run.exit_code == 2, run.output
    said(run)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("words", MISTAKES["the folder of a run"])
def test_the_best_model_of_a_run_is_named(words: str) -> None:
    assert "run is a run of vidcm finetune, which keeps its best model: give --model run" in said(vidcm(*words.split()))


@pytest.mark.parametrize("words", DAMAGE)
def test_what_files_hold_ends_with_1_and_leaves_nothing(words: str, place: Path) -> None:
    before = sorted(place.rglob("*"))
    run = vidcm(*words.split())
    assert run.exit_code == 1, run.output
    said(run)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("generate -o out.mp4 --size 4x4", "--size must be at least 32x32, got 4x4"),
        ("generate -o out.mp4 --seed -1", "--seed must be 0 to 2^63 - 1, got -1"),
        ("generate -o out.mp4 --image none.png", "--image none.png is not there"),
        ("prepare clip.mp4 -o out --short-side 5", "--short-side must be at least 64 pixels, got 5"),
        ("finetune folder -o out --lr -1", "--lr must be a number above 0, got -1.0"),
        (
            "finetune folder -o out --model clip --lora 4",
            "--lora is for networks of diffusers (Wan, LTX, CogVideoX), and clip ",
        ),
        ("finetune folder -o out --num-frames 17", "--num-frames is for generators"),
        ("finetune folder -o out --parts sound", "--parts must be some of settings, pictures, motion, got sound"),
        ("evaluate interpolation clip.mp4 --size 4x4", "--size must be at least 32x32"),
        ("train run.yaml steps=many", "steps must be"),
        ("generate --batch jobs.jsonl -o out", "jobs.jsonl, line 1: num_frames must be at least 1"),
    ],
)
def test_options_are_named_as_they_are_typed(words: str, told: str) -> None:
    assert said(vidcm(*words.split())).startswith(f"Error: {told}")
