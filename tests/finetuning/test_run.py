"""A whole run: what it leaves, and that a stop anywhere changes nothing of it."""

import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from safetensors.torch import load_file

from vidcm.core.errors import UserError
from vidcm.families.motion import MotionFamily
from vidcm.finetuning import best, interpolator, run, timing, tuning
from vidcm.finetuning.config import USUAL
from vidcm.finetuning.history import History
from vidcm.finetuning.run import finetune
from vidcm.finetuning.settings import Settings, compare
from vidcm.training.loop import Interrupted

WEIGHTS = "vae/diffusion_pytorch_model.safetensors"


def marks(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_run_leaves_the_best_model_and_a_report(tuned, whole, model):
    done, folder = tuned, whole
    found = marks(folder)
    assert [(mark["part"], mark["step"]) for mark in found] == [("start", 0), *(("pictures", s) for s in (2, 4, 6))]
    assert done.before.headline == found[0]["headline"]
    assert done.after.headline == max(mark["headline"] for mark in found)
    last, kept = (MotionFamily.load(place).vae for place in (folder / "1-pictures" / "model", done.best))
    started = load_file(model / WEIGHTS)
    for name, tensor in last.state_dict().items():  # what the latent says is left alone
        assert tensor.equal(started[name]) != name.startswith(("decoder.", "synthesis.")), name
    assert (kept.state_dict().keys()) == started.keys()
    text = (folder / "report.md").read_text()
    assert {"val 2x", "val 4x", "rendered"} <= {line.split("|")[1].strip() for line in text.splitlines() if "|" in line}
    assert f"{done.gain:+.2f} dB" in text or "Nothing gained" in text
    assert "rendered: " in text
    for name in re.findall(r"\]\(([^)]+)\)", text):
        assert (folder / name).is_file(), name


def gains(folder: Path) -> int:
    """How often a model was judged better than all before it."""
    psnr = [mark["headline"] for mark in marks(folder)]
    found = sum(value > max(psnr[:place]) for place, value in enumerate(psnr) if place)
    assert found, "the tiny run should gain something"
    return found


class Boom(BaseException):
    """The end of the process, as far as the code under test can tell."""


def stop_at(monkeypatch: pytest.MonkeyPatch, owner, name: str, call: int) -> None:
    """Raise Boom in the place of the `call`-th call, counted from 1."""
    original, count = getattr(owner, name), [0]

    def counted(*args, **kwargs):
        count[0] += 1
        if count[0] == call:
            raise Boom
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)


def test_a_run_stopped_anywhere_resumes_to_the_same(dataset, config, tmp_path, whole):
    places = [
        (Settings, "save", 1),
        (interpolator, "judge", 2),  # between a checkpoint and its validation
        (best, "write_facts", 1 + gains(whole)),  # the model that will be the best one, half written
        (History, "add", 3),  # kept as the best, and not yet written down
    ]
    for number, place in enumerate(places):
        folder = tmp_path / f"stopped-{number}"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Boom):
            stop_at(patch, *place)
            finetune(dataset, folder, config)
        finetune(dataset, folder, config, resume="auto")  # the first place is before there is a run
        assert marks(folder) == marks(whole), place
        for name in (f"best/{WEIGHTS}", f"1-pictures/model/{WEIGHTS}", "best/tuned.json"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), (place, name)


def test_a_run_asked_to_stop_between_validations_ends_with_the_same_history_and_report(
    dataset, config, tmp_path, whole, monkeypatch
):
    folder = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        original = MotionFamily.decoder_loss

        def interrupting(family, batch, *, generator, samples_seen):
            if samples_seen == 2 * config.batch_size:  # in the third step; validations are after every second
                signal.raise_signal(signal.SIGINT)
            return original(family, batch, generator=generator, samples_seen=samples_seen)

        patch.setattr(MotionFamily, "decoder_loss", interrupting)
        finetune(dataset, folder, config)
    assert (folder / "1-pictures" / "checkpoints" / "step-00000003").is_dir()
    finetune(dataset, folder, resume=True)
    assert contents(folder) == {
        name: kept.replace(bytes(whole), bytes(folder)) for name, kept in contents(whole).items()
    }


def contents(run: Path) -> dict[str, bytes]:
    """What a run leaves for its user."""
    files = [*run.glob("*.*"), *(path for path in (run / "best").rglob("*") if path.is_file())]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def test_the_best_is_kept_when_later_steps_are_worse(dataset, config, tmp_path, monkeypatch):
    values = iter([30.0, 31.0, 29.0, 28.0])
    monkeypatch.setattr(interpolator, "headline", lambda scores: next(values))
    saved = {}
    original = tuning.keep_if_better

    def noted(model, target, mark):
        saved[mark.step] = (model / WEIGHTS).read_bytes()
        return original(model, target, mark)

    monkeypatch.setattr(tuning, "keep_if_better", noted)
    done = finetune(dataset, tmp_path / "run", config)
    assert (done.after.step, done.gain) == (2, 1.0)
    assert (done.best / WEIGHTS).read_bytes() == saved[2] != saved[6]


def test_it_ends_when_nothing_is_gained_and_says_that_nothing_was(
    dataset, config, model, tmp_path, monkeypatch, capsys
):
    values = iter([30.0, 29.0, 29.5, 99.0])
    monkeypatch.setattr(interpolator, "headline", lambda scores: next(values))
    done = finetune(dataset, tmp_path / "run", replace(config, patience=2))
    assert [mark["step"] for mark in marks(tmp_path / "run")] == [0, 2, 4]
    assert "no gain in 2 validations" in capsys.readouterr().err
    assert (done.gain, done.after.part) == (0.0, "start")
    assert (done.best / WEIGHTS).read_bytes() == (model / WEIGHTS).read_bytes()
    assert "**Nothing gained.**" in done.report.read_text()


def test_both_parts_are_tuned_one_from_the_best_of_the_other(dataset, config, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    values = iter([30.0, 31.0, 32.0])
    monkeypatch.setattr(interpolator, "headline", lambda scores: next(values))
    done = finetune(dataset, folder, replace(config, parts=("motion", "pictures"), steps=4, evaluations=1))
    assert [(mark["part"], mark["step"]) for mark in marks(folder)] == [("start", 0), ("pictures", 2), ("motion", 2)]
    first, start, last = (
        load_file(path / WEIGHTS) for path in (folder / "1-pictures/model", folder / "2-motion/start", done.best)
    )
    assert all(first[name].equal(start[name]) and first[name].equal(last[name]) for name in first)
    started, tuned = (MotionFamily.load(path) for path in (folder / "2-motion/start", done.best))
    assert not torch.equal(started.dit.final.weight, tuned.dit.final.weight)
    assert torch.equal(started.teacher.final.weight, tuned.teacher.final.weight)


def test_steps_that_are_not_finite_end_the_run_with_the_best_model_intact(dataset, config, tmp_path, monkeypatch):
    original = MotionFamily.decoder_loss

    def spoiled(family, batch, *, generator, samples_seen):
        loss, logs = original(family, batch, generator=generator, samples_seen=samples_seen)
        return (loss * float("nan") if samples_seen >= 6 else loss), logs  # from the fourth step on

    monkeypatch.setattr(MotionFamily, "decoder_loss", spoiled)
    with pytest.raises(UserError, match=r"8 steps in a row .*\(seed 0, step 10, rank 0,.* of one, two\)"):
        finetune(dataset, tmp_path / "run", replace(config, steps=20, evaluations=4))
    assert [mark["step"] for mark in marks(tmp_path / "run")] == [0, 5, 10]
    MotionFamily.load(tmp_path / "run" / "best")


def test_a_resumed_run_keeps_its_settings_says_what_differs_and_refuses_another_beginning(
    dataset, config, tmp_path, capsys
):
    dataset, run = Path(shutil.copytree(dataset, tmp_path / "set")), tmp_path / "run"
    finetune(dataset, run, replace(config, steps=2, evaluations=1))
    finetune(dataset, run, resume=True, patience=9)
    assert "settings changed" not in capsys.readouterr().err
    finetune(dataset, run, resume=True, patience=8)
    assert "settings changed since the run began: patience 9 -> 8\n" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"cannot go on with another beginning \(windows 1 -> 2\)"):
        finetune(dataset, run, resume=True, windows=2)
    index = json.loads((dataset / "index.json").read_text())
    index["clips"][0]["digest"] = "another"
    (dataset / "index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"the clips of the dataset"):
        finetune(dataset, run, resume=True)


def test_a_run_goes_on_with_the_parts_it_began_with_though_it_did_not_write_them_down(dataset, config, whole, tmp_path):
    """The usual parts change with the version; a run of before they were stored is known by its folders."""
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    path = folder / "finetune.yaml"
    stored = yaml.safe_load(path.read_text())
    assert stored["config"]["parts"] == ["pictures"]
    stored["config"]["parts"] = []
    path.write_text(yaml.safe_dump(stored))
    for name, parts in (("1-settings", ("settings", "pictures")), ("none", ()), ("1-pictures", ("pictures",))):
        next(folder.glob("1-*"), folder / "none").rename(folder / name)
        assert Settings.load(folder).config.parts == parts
    finetune(dataset, folder, resume=True)
    assert marks(folder) == marks(whole)
    assert yaml.safe_load(path.read_text())["config"]["parts"] == ["pictures"]


def test_a_run_that_is_finished_says_so_and_judges_nothing_again(dataset, tuned, whole, tmp_path, monkeypatch, capsys):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    kept = contents(folder)
    with monkeypatch.context() as patch:
        stop_at(patch, interpolator, "judge", 1)
        again = finetune(str(dataset), str(folder), resume=True)
    assert capsys.readouterr().err.splitlines() == [
        f"{folder} is finished already, and nothing is left to do; more --steps (--minutes), and more --patience where "
        "validations gained nothing, would go on with it"
    ]
    assert contents(folder) == kept
    assert (again.before, again.after, again.told, again.numbers) == (
        tuned.before, tuned.after, tuned.told, tuned.numbers
    )  # fmt: skip
    assert (again.best, again.report) == (folder / "best", folder / "report.md")


def test_a_run_that_goes_on_with_other_settings_is_finished_no_more(
    dataset, config, whole, tmp_path, monkeypatch, capsys
):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    with monkeypatch.context() as patch, pytest.raises(Boom):
        stop_at(patch, tuning, "keep_if_better", 1)
        finetune(dataset, folder, resume=True, steps=8)
    finetune(dataset, folder, resume=True)
    assert "finished already" not in capsys.readouterr().err
    assert marks(folder)[-1]["step"] == 8


def test_the_usual_parts_are_written_down(dataset, config, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "Tuning", lambda folder, subject, settings, leader: SimpleNamespace(go=lambda _: settings))
    settings = finetune(dataset, tmp_path / "run", replace(config, parts=()))
    assert settings.config.parts == USUAL
    kept = replace(settings, config=replace(settings.config, parts=()))  # begun before, come to no part yet
    assert compare(kept, settings, tmp_path) == []


def test_minutes_are_planned_once_and_hold_for_choosing_and_validations_too(
    dataset, config, tmp_path, monkeypatch, capsys
):
    """Two steps, one validation and settings on few windows are what the plan says, also after a stop."""
    folder, told = tmp_path / "run", iter([timing.Plan(2, 1, 0)])
    monkeypatch.setattr(tuning, "fit", lambda left_s, costs, most, parts: next(told))
    config = replace(config, parts=USUAL, minutes=1.0)
    with monkeypatch.context() as patch, pytest.raises(Boom):
        stop_at(patch, interpolator, "judge", 2)
        finetune(dataset, folder, config)
    finetune(dataset, folder, resume=True)
    assert [(mark["part"], mark["step"]) for mark in marks(folder)] == [("start", 0), ("pictures", 2)]
    said = capsys.readouterr().err
    assert "1 min: 2 steps, too few to teach much, 1 validations a part" in said
    assert "timing 8 steps" in said
    assert "step 4/8" not in said
    assert said.count("memory of a process") == 2  # once in each start
    assert not (folder / "1-settings").exists()
    text = (folder / "report.md").read_text()
    assert re.search(r"- time: 1 min were asked for, \d+:\d\d gone since it last began", text)
    assert "- settings: left as they are, as there was no time to choose them\n" in text
    assert "- pictures: 2 of 2 steps, 1 validation\n" in text
    assert not (folder / ".timing.tmp").exists()


def test_a_second_run_in_one_folder_is_refused(dataset, config, tmp_path, monkeypatch):
    original = interpolator.judge

    def meanwhile(*args):
        with pytest.raises(UserError, match="is in use by another run"):
            finetune(dataset, tmp_path / "run", resume=True)
        return original(*args)

    monkeypatch.setattr(interpolator, "judge", meanwhile)
    finetune(dataset, tmp_path / "run", replace(config, steps=1, evaluations=1))
    with pytest.raises(UserError, match="holds an earlier run: continue it with --resume"):
        finetune(dataset, tmp_path / "run", config)
