"""Settings chosen on training clips: the best of some, kept where validation bears them out, stored with the model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from vidcm.data.clips import ClipCache
from vidcm.evaluation.score import rebuild
from vidcm.finetuning import choosing, interpolator
from vidcm.finetuning.choosing import best_of, choose_trust, chosen_in, rebuilt_db
from vidcm.finetuning.config import USUAL
from vidcm.finetuning.history import History
from vidcm.finetuning.run import finetune
from vidcm.finetuning.windows import held_out
from vidcm.metrics.psnr import psnr
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.pipelines.confidence import Calibration, calibration_of

WEIGHTS = ("transformer/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")


def panned(first, last, taus, **key):
    """The first frame moved by what the camera does, to whole pixels."""
    gap = 3 * (len(taus) + 1)
    return torch.stack([first.roll(-round(gap * tau), dims=-1) for tau in taus], dim=1)


def held(first, last, taus, **key):
    return first[:, None].expand(-1, len(taus), -1, -1)


def test_what_is_measured_is_the_psnr_of_rebuilt_training_clips(dataset):
    sets = held_out(ClipCache.open(dataset), 2, "train")
    assert set(sets) == {"train 2x", "train 4x"}
    assert rebuilt_db(panned, sets) > rebuilt_db(held, sets) + 3
    window = sets["train 2x"][0][0]
    made = rebuild(window, window.sequence, held, "vidcm")
    assert rebuilt_db(held, {"one": [[window]]}) == pytest.approx(psnr(made, window.truth).mean().item())


def test_the_trust_that_measures_best_is_chosen_and_the_rest_of_sampling_stays():
    stored = {"start": 1.5, "middle": 1.1, "temperature": 1.3, "spread": 0.2, "sides": 0.1}
    pipe, told = SimpleNamespace(scheduler=ConsistencyScheduler(**stored, trust=0.45)), []
    choose_trust(pipe, lambda: -abs(pipe.scheduler.config.trust - 0.85), told.append)
    assert dict(pipe.scheduler.config) == dict(ConsistencyScheduler(**stored, trust=0.8).config)
    assert told == [f"trust {value:g}" for value in (0.45, 0.0, 0.3, 0.6, 0.8, 1.0)]


@pytest.mark.parametrize(("gain", "chosen"), [(0.0, 1.0), (0.04, 1.0), (0.06, 1.5)])
def test_another_value_must_be_worth_it_and_all_are_told(gain, chosen, capsys):
    state = {}
    what = 1.0, (1.0, 1.5), lambda v: state.update(v=v), lambda: 30 + gain * (state["v"] > 1)
    assert best_of("finer", *what, print, worth=0.05) == chosen
    assert capsys.readouterr().err == f"  finer {chosen:g} (on training clips: 1 30.00 dB, 1.5 {30 + gain:.2f} dB)\n"


@pytest.fixture
def calibrated(model, tmp_path) -> Path:
    """The tiny model, trust 1, with a calibration of its confidence."""
    folder = Path(shutil.copytree(model, tmp_path / "calibrated"))
    Calibration(3.0, -9.0, 2.0).save(folder)
    return folder


@pytest.mark.parametrize("better", [True, False])
def test_they_come_first_and_are_kept_where_validation_bears_them_out(
    better, dataset, config, calibrated, tmp_path, monkeypatch, capsys
):
    tried = iter([30.0, 30.5, 30.5, 29.0, 31.0, 30.0, 30.0])  # finer 1, 1.5; trust 1, 0, 0.3, 0.6, 0.8
    monkeypatch.setattr(choosing, "rebuilt_db", lambda *_: next(tried))
    scores = iter([30.0, 30.2 if better else 29.9, 30.1])
    monkeypatch.setattr(interpolator, "headline", lambda found: next(scores))
    run = tmp_path / "run"
    done = finetune(dataset, run, replace(config, model=str(calibrated), parts=USUAL, steps=2, evaluations=1))
    marks = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [(mark["part"], mark["step"]) for mark in marks] == [("start", 0), ("settings", 0), ("pictures", 2)]
    first, new = {"finer": 1.0, "trust": 1.0}, {"finer": 1.5, "trust": 0.3}
    assert chosen_in(run / "1-settings" / "model") == new
    assert chosen_in(run / "2-pictures" / "start") == chosen_in(done.best) == (new if better else first)
    assert done.after.part == ("settings" if better else "pictures")
    assert ("settings: trust 1 to 0.3" in done.report.read_text()) == better
    turned_down = "- settings: finer 1.5 was chosen on training clips and turned down on the validation clips, 1 kept"
    assert (turned_down in done.report.read_text()) == (not better)
    assert (": turned down, the settings stay as they were" in capsys.readouterr().err) == (not better)
    assert calibration_of(done.best) == Calibration(3.0, -9.0, 2.0)  # of a trained model, too


def test_weights_stay_and_a_run_stopped_before_it_is_noted_ends_the_same(dataset, config, model, tmp_path, monkeypatch):
    config = replace(config, parts=("settings",))
    monkeypatch.setattr(choosing, "TRUSTS", (0.0,))  # beside the model's own 1; all of them take seconds each
    whole = finetune(dataset, tmp_path / "whole", config)
    assert whole.gain > 0, "the tiny model should gain something"
    original = History.add

    def stopped(history, mark):
        if mark.part == "settings":
            raise KeyboardInterrupt
        original(history, mark)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(History, "add", stopped)
        finetune(dataset, tmp_path / "stopped", config)
    again = finetune(dataset, tmp_path / "stopped", config, resume=True)
    assert (again.before, again.after) == (whole.before, whole.after)
    assert all((whole.best / name).read_bytes() == (model / name).read_bytes() for name in WEIGHTS)
    for file in ("history.jsonl", "best/scheduler/scheduler_config.json", "best/vae/config.json"):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
