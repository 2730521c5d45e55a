"""Trackers get what metrics.jsonl gets, and a package that is not there is one line."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from vidcm.cli.main import cli
from vidcm.core.errors import UserError
from vidcm.training import trackers
from vidcm.training.loop import Interrupted, Seen
from vidcm.training.trackers import check_trackers, flat

from .tiny import TinyBatches


def test_settings_are_told_on_one_level():
    told = flat({"steps": 4, "data": {"crop": [64, 64], "between": {1: 1.0}}, "lora": None, "latents": {}})
    assert told == {"steps": 4, "data.crop": "[64, 64]", "data.between.1": 1.0, "lora": "None", "latents": "{}"}


def test_a_tracker_that_is_not_known_or_not_there_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, "PACKAGES", {**trackers.PACKAGES, "wandb": ("wandb", "no_such_module")})
    with pytest.raises(UserError, match=r"tracker wandb needs a package that is not installed: pip install wandb"):
        check_trackers(["wandb"])
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({"stage": "ect", "track": ["paper"]}))
    for words in (["train", tmp_path / "run.yaml"], ["finetune", tmp_path, "-o", tmp_path / "run", "--track", "paper"]):
        done = CliRunner().invoke(cli, list(map(str, words)))
        assert done.exit_code == 2
        assert "unknown tracker 'paper', known: tensorboard, trackio, wandb" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_telling_so_needs_no_torch():
    code = "import sys, vidcm.finetuning.config; assert 'torch' not in sys.modules and 'accelerate' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


class Notes:
    """A tracker as accelerate's are."""

    name = "tensorboard"

    def __init__(self):
        self.lines, self.config, self.ended = [], None, 0

    def log(self, values, step, **_):
        self.lines.append((step, dict(values)))

    def finish(self):
        self.ended += 1


@pytest.fixture
def notes(monkeypatch) -> Notes:
    """What a run under the name of TensorBoard is told."""
    kept = Notes()

    def start(accelerator, project, config, options):
        kept.config = config
        accelerator.trackers = [kept]

    monkeypatch.setattr(trackers, "PACKAGES", {"tensorboard": ("tensorboard", "json")})
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda names, *_: names or [])
    monkeypatch.setattr("accelerate.Accelerator.init_trackers", start)
    return kept


def test_a_tracker_is_told_what_the_file_holds_and_what_the_watch_saw(config, run, notes):
    settings = config(track=["tensorboard"], log_every=2, save_every=3)
    run(settings, watch=lambda step: Seen(False, {"psnr/val": 30.0 + step}))
    lines = [json.loads(line) for line in (Path(settings.out) / "metrics.jsonl").read_text().splitlines()]
    told = [(step, values) for step, values in notes.lines if "loss" in values]
    assert [(step, pytest.approx(values["loss"], rel=1e-5)) for step, values in told] == [
        (line["step"], line["loss"]) for line in lines
    ]
    assert [line for line in notes.lines if "psnr/val" in line[1]] == [(3, {"psnr/val": 33.0}), (6, {"psnr/val": 36.0})]
    assert notes.config["optimizer.lr"] == 0.01
    assert notes.ended == 1


class Trackio(ModuleType):
    """What accelerate calls of Trackio 0.43."""

    def __init__(self):
        super().__init__("trackio")
        self.runs, self.settings, self.lines, self.ended = [], {}, [], 0
        self.config = SimpleNamespace(update=lambda values, allow_val_change: self.settings.update(values))

    def init(self, *, project, name, resume):
        self.runs.append((project, name, resume))
        return SimpleNamespace(log=lambda values, step: self.lines.append((step, values)), finish=self.finish)

    def finish(self):
        self.ended += 1


def test_trackio_goes_on_with_a_run_that_is_resumed_and_sees_each_step_once(config, run, monkeypatch):
    kept = Trackio()
    monkeypatch.setitem(sys.modules, "trackio", kept)
    monkeypatch.setattr(trackers, "PACKAGES", {"trackio": ("trackio", "json")})
    monkeypatch.setattr("accelerate.accelerator.filter_trackers", lambda names, *_: names or [])
    settings = config(track=["trackio"])
    stop = TinyBatches(before=lambda number: signal.raise_signal(signal.SIGTERM) if number == 3 else None)
    watch = {"watch": lambda step: Seen(False, {"psnr/val": 30.0 + step})}
    with pytest.raises(Interrupted):
        run(settings, batches=stop, **watch)
    run(settings, resume=True, **watch)
    assert len(set(kept.runs)) == 1
    assert (kept.runs[0][0], kept.runs[0][2]) == ("vidcm", "allow")
    assert kept.settings["optimizer.lr"] == 0.01
    assert [step for step, values in kept.lines if "loss" in values] == [2, 4, 6]
    assert [(step, values) for step, values in kept.lines if "loss" not in values] == [
        (step, {"psnr/val": 30.0 + step}) for step in (2, 4, 6)
    ]
    assert kept.ended == 2


def test_tensorboard_reads_the_curve(config, run):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = config(track=["tensorboard"])
    run(settings)
    run(config("plain"))  # without, after one with
    [folder] = {file.parent for file in (Path(settings.out) / "track").rglob("events.*") if "vidcm" in file.parent.name}
    seen = events.EventAccumulator(str(folder)).Reload()
    assert [scalar.step for scalar in seen.Scalars("loss")] == [2, 4, 6]
