"""`vidcm finetune` as a user meets it: from a dataset to a model that `vidcm interpolate` takes, and mistakes."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from vidcm.cli.main import cli

_spec = importlib.util.spec_from_file_location("makers", Path(__file__).parents[1] / "finetuning" / "conftest.py")
makers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(makers)


def vidcm(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with datasets good and bad, as the current one."""
    monkeypatch.chdir(tmp_path)
    good, still = makers.panning(0), makers.panning(1, 2)
    makers.write_dataset(tmp_path / "set", {"a": ("train", good), "b": ("val", makers.panning(2))})
    makers.write_dataset(tmp_path / "no-val", {"a": ("train", good)})
    makers.write_dataset(tmp_path / "no-train", {"a": ("val", good)})
    makers.write_dataset(tmp_path / "short", {"a": ("train", still), "b": ("val", good)})
    makers.write_dataset(tmp_path / "short-val", {"a": ("train", good), "b": ("val", still)})
    makers.write_dataset(tmp_path / "no-scene", {})
    for name in ("empty", "footage", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "footage" / "a.mp4").write_bytes(b"")
    (tmp_path / "full" / "letter.txt").write_text("mine")
    return tmp_path


MISTAKES = [
    (["set"], 2, "Missing option '-o'"),
    (["none", "-o", "run"], 2, "none is no dataset: make one with vidcm prepare"),
    (["empty", "-o", "run"], 2, "no dataset: make one with vidcm prepare empty -o DATASET"),
    (["footage", "-o", "run"], 2, "no dataset: make one with vidcm prepare footage -o DATASET"),
    (["no-scene", "-o", "run"], 1, "no-scene holds no scene: prepare footage that moves"),
    (["no-val", "-o", "run"], 1, "no-val has no validation clip of 3 frames or more: prepare more than one video"),
    (["no-train", "-o", "run"], 1, "no-train has no training clip of 3 frames or more"),
    (["short", "-o", "run"], 1, "short has no training clip of 3 frames or more"),
    (["short-val", "-o", "run"], 1, "short-val has no validation clip of 3 frames or more"),
    (["set", "-o", "full"], 2, "full holds files that are no fine-tuning run: name a new folder"),
    (
        ["set", "-o", "run", "--resume"],
        2,
        "nothing to resume in run: leave --resume out to begin, or let --auto-resume",
    ),
    (["set", "-o", "footage/a.mp4"], 2, "is a file: name a folder for the run"),
    (["set", "-o", "run", "--model", "none"], 2, "model directory none does not exist"),
    (["set", "-o", "run", "--model", "set"], 2, "set is not a complete model directory"),
    (["set", "-o", "run", "--model", "clip", "--num-frames", "6"], 2, "for this VAE, got 6 (try 5 or 9)"),
    (["set", "-o", "run", "--steps", "0"], 2, "0 is not in the range x>=1"),
    (["set", "-o", "run", "--minutes", "0"], 2, "0.0 is not in the range x>0"),
    (["set", "-o", "run", "--steps", "9", "--minutes", "1"], 2, "give one of them"),
    (["set", "-o", "run", "--parts", "sound"], 2, "parts must be some of settings, pictures, motion, got sound"),
    (["set", "-o", "run", "--lr", "-1"], 2, "--lr must be a number above 0, got -1.0"),
    (["set", "-o", "run", "--parts", "motion", "--objective", "etc"], 2, "unknown objective 'etc', known: cd, ct, ect"),
    (["set", "-o", "run", "--parts", "motion", "--objective", "diffusion"], 2, "unknown objective 'diffusion'"),
    (["set", "-o", "run", "--objective", "ct"], 2, "objective 'ct' is of the part motion, and settings, pictures are"),
    (["set", "-o", "run", "--shard"], 2, "shard: the part pictures is small and stays whole in each process: leave it"),
    (["set", "-o", "run", "--context", "2", "--parts", "motion"], 2, "context 2: 1 processes do not make groups of 2"),
    (["set", "-o", "run", "--parts", "motion", "--shard", "--objective", "sct"], 2, "stage sct takes a derivative"),
    (["set", "-o", "run", "--reference", "empty"], 1, "no videos in empty"),
    (["set", "-o", "run", "--reference", "none"], 2, "'none' does not exist"),
]


@pytest.mark.parametrize(
    ("words", "code", "message"), MISTAKES, ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None
)
def test_a_mistake_is_told_in_one_line_and_leaves_nothing(place, words, code, message):
    result = vidcm("finetune", *words)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (place / "run").exists()


def test_from_a_dataset_to_a_model_that_interpolates(place, monkeypatch):
    monkeypatch.setattr("vidcm.finetuning.windows.RENDERED", 1)
    monkeypatch.setattr("vidcm.finetuning.recipe.WORKERS", 0)
    makers._tiny.tiny_family().save(place / "start")
    words = [
        "--model",
        "start",
        "--steps",
        "2",
        "--windows",
        "1",
        "--batch-size",
        "2",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    ]
    result = vidcm("finetune", "set", "-o", "run", *words)
    assert result.exit_code == 0, result.output
    assert "training scenes: 1, for batches of 2: soon known by heart" in result.stderr
    assert result.stdout.splitlines()[-1] == f"vidcm interpolate IN -o OUT --factor 2 --model {Path('run/best')}"
    again = vidcm("finetune", "set", "-o", "run", "--auto-resume", "--json")
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert told["model"] == str(Path("run/best"))
    assert told["gain_db"] == pytest.approx(told_gain(place / "run"))
    from vidcm.pipelines import FrameInterpolationPipeline, as_interpolator

    interpolate = as_interpolator(FrameInterpolationPipeline.from_pretrained(place / "run" / "best"))
    first, last = (makers.torch.from_numpy(np.load(place / "set" / "b.npy")[i]).permute(2, 0, 1) / 255 for i in (0, 2))
    assert interpolate(first, last, [0.5]).isfinite().all()


@pytest.mark.parametrize("words", [["footage"], ["set", "--model", "clip", "--lora", "4"]], ids=" ".join)
def test_what_cannot_be_tuned_is_told_without_torch(place, words):
    code = f"import sys; from vidcm.cli.main import main; sys.argv[1:] = ['finetune', *{words}, '-o', 'run']\n"
    code += "try:\n    main()\nexcept SystemExit as end:\n    print(end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_the_check_knows_the_manifest_by_its_name():
    from vidcm.data import manifest
    from vidcm.finetuning.check import MANIFEST

    assert manifest.NAME == MANIFEST


def told_gain(run: Path) -> float:
    marks = [json.loads(line)["headline"] for line in (run / "history.jsonl").read_text().splitlines()]
    return max(marks) - marks[0]
