"""Stopping and continuing: what comes out is what would have come without the stop."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vidcm import losses
from vidcm.core.errors import UserError, WrongUse
from vidcm.training import checkpoint
from vidcm.training.config import record_run
from vidcm.training.loop import Interrupted
from vidcm.training.start import same_batches

from .tiny import TinyBatches

STAGES = ["vae", "decoder", *losses.available()]
CLOCK = ("seconds", "samples_s")
KILLED_IN_ITS_SECOND_SAVE = """
import os, sys
from pathlib import Path
import torch
from vidcm.training import checkpoint

def save(step):
    checkpoint.save(Path(sys.argv[1]), step, {"params": {"w": torch.full((9,), float(step))}}, {}, keep=1)

save(1)
Path.rename = lambda *_: os._exit(9)
save(2)
"""


def ask_to_stop_at(number: int) -> TinyBatches:
    return TinyBatches(before=lambda n: signal.raise_signal(signal.SIGTERM) if n == number else None)


def weights(out: str, step: int) -> dict[str, bytes]:
    folder = Path(out) / "checkpoints" / f"step-{step:08d}"
    return {file.name: file.read_bytes() for file in folder.glob("*.safetensors")}


def metrics(out: str) -> list[dict]:
    lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in CLOCK} for line in lines]


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(config, run, stage):
    whole, parts = config("whole", stage=stage), config("parts", stage=stage)
    run(whole)
    with pytest.raises(Interrupted):
        run(parts, batches=ask_to_stop_at(3))
    assert checkpoint.newest(Path(parts.out) / "checkpoints", print).step == 4  # the step is finished and saved
    run(parts, resume=True)
    parts_saved = {file.removesuffix(".safetensors") for file in weights(whole.out, 6)}
    assert parts_saved - {"aides"} == {"params", "ema", "optimizer"}
    assert weights(whole.out, 6) == weights(parts.out, 6)
    assert metrics(whole.out) == metrics(parts.out)


def test_gradient_accumulation_and_bf16_resume_exactly_too(config, run):
    whole, parts = (config(out, grad_accumulation=2, precision="bf16", stage="ect") for out in ("whole", "parts"))
    run(whole)
    with pytest.raises(Interrupted):
        run(parts, batches=ask_to_stop_at(5))
    run(parts, resume=True)
    assert weights(whole.out, 6) == weights(parts.out, 6)


def test_lines_of_metrics_are_means_over_all_their_steps_wherever_a_run_was_stopped(config, run):
    """Lines after steps 3 and 6, a stop after step 4: what it counted is in its checkpoint."""
    whole, parts = (config(out, log_every=3, save_every=5) for out in ("whole", "parts"))
    run(whole)
    with pytest.raises(Interrupted):
        run(parts, batches=ask_to_stop_at(3))
    run(parts, resume=True)
    assert metrics(whole.out) == metrics(parts.out)


def test_going_on_with_nothing_is_refused_and_left_to_us_it_begins(config, run):
    settings = config()
    with pytest.raises(WrongUse, match=r"nothing to resume in .*run: leave --resume out to begin, or let"):
        run(settings, resume=True)
    assert not Path(settings.out).exists()
    run(settings, resume="auto", batches=TinyBatches())
    expected = weights(settings.out, 6)
    again = TinyBatches()
    run(settings, resume="auto", batches=again)
    assert again.made == []
    assert weights(settings.out, 6) == expected


def test_where_no_checkpoint_is_whole_it_does_not_begin_again_unless_told_to(config, run, capsys):
    settings = config()
    run(settings)
    expected = weights(settings.out, 6)
    for step in (2, 4, 6):
        flip_a_byte(Path(settings.out) / "checkpoints" / f"step-{step:08d}" / "params.safetensors")
    with pytest.raises(UserError, match=r"no checkpoint in .*run is whole: put a copy back"):
        run(settings, resume=True)
    run(settings, resume="auto")
    assert "no checkpoint is whole: starting at step 0" in capsys.readouterr().err
    assert weights(settings.out, 6) == expected


def test_a_damaged_later_checkpoint_does_not_crowd_out_a_whole_one(tmp_path):
    for step in (1, 4, 2, 3):  # 4: passed over, the run goes on from 1
        checkpoint.save(tmp_path, step, {"params": {"w": torch.zeros(1)}}, {}, keep=2)
        expected = {4: [1, 4], 2: [1, 2], 3: [2, 3]}.get(step, [1])
        assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{each:08d}" for each in expected]


def test_saving_leaves_the_run_as_it_is(config, run):
    often, seldom = config("often", save_every=1), config("seldom", save_every=6)
    run(often)
    run(seldom)
    assert weights(often.out, 6) == weights(seldom.out, 6)


def test_the_model_holds_the_averaged_weights(config, run):
    settings = config()
    model = load_file(run(settings) / "vae.safetensors")
    saved = checkpoint.newest(Path(settings.out) / "checkpoints", print)
    averages, last = saved.tensors("ema"), saved.tensors("params")
    for name in averages:
        assert model[name].equal(averages[name])
        assert not model[name].equal(last[name])
    assert model["power"].equal(last["power"])


def test_lines_after_the_checkpoint_are_forgotten(config, run):
    settings = config(save_every=4, log_every=1)
    run(settings)
    folder = Path(settings.out) / "checkpoints"
    (folder / "step-00000006" / "params.safetensors").unlink()
    before = metrics(settings.out)
    run(settings, resume=True)
    assert metrics(settings.out) == before


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: flip_a_byte(folder / "params.safetensors"),
        lambda folder: (folder / "optimizer.safetensors").unlink(),
        lambda folder: (folder / "manifest.json").write_text('{"params'),
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "state.json").write_text("{}"),
    ],
    ids=["a flipped byte", "a missing file", "a cut manifest", "no manifest", "an emptied state"],
)
def test_a_damaged_checkpoint_is_skipped_with_a_notice(config, run, capsys, damage):
    settings = config()
    run(settings)
    expected = weights(settings.out, 6)
    damage(Path(settings.out) / "checkpoints" / "step-00000006")
    run(settings, resume=True)
    said = capsys.readouterr().err
    assert "skipping the damaged checkpoint step-00000006" in said
    assert "resuming after step 4" in said
    assert weights(settings.out, 6) == expected


def test_a_kill_while_saving_leaves_the_checkpoint_before_it(tmp_path):
    """The process dies for good, with everything of the second checkpoint written but its new name."""
    done = subprocess.run([sys.executable, "-c", KILLED_IN_ITS_SECOND_SAVE, str(tmp_path)])
    assert done.returncode == 9
    assert (tmp_path / "step-00000002.tmp").is_dir()
    found = checkpoint.newest(tmp_path, print)
    assert found.step == 1
    assert found.tensors("params")["w"].unique().tolist() == [1.0]


def test_only_the_newest_checkpoints_are_kept(config, run):
    settings = config(save_every=1, keep=2)
    run(settings)
    names = sorted(path.name for path in (Path(settings.out) / "checkpoints").iterdir())
    assert names == ["step-00000005", "step-00000006"]


def test_a_second_run_does_not_overwrite_the_first(config, run):
    settings = config()
    run(settings)
    with pytest.raises(UserError, match=r"holds checkpoints of an earlier run.*--resume"):
        run(settings)


def test_a_checkpoint_of_another_model_is_refused(config, run):
    settings = config()
    run(settings)
    with pytest.raises(UserError, match="is of another model"):
        run(config(stage="decoder"), resume=True)


def test_frozen_weights_may_not_change_under_a_run(config, run, tmp_path):
    start = str(run(config("start", stage="vae")))
    settings = config("tuned", stage="ect", init=start, steps=2)
    run(settings)
    with pytest.raises(UserError, match="has changed since"):
        run(config("tuned", stage="ect", init=start, seed=1), resume=True)  # the seed makes another tiny VAE


def test_minutes_are_counted_across_resumptions(config, run, monkeypatch):
    now = iter(range(10_000))
    monkeypatch.setattr("vidcm.training.loop.time.monotonic", lambda: 10.0 * next(now))
    settings = config(steps=1000, minutes=2.0, save_every=1000)
    with pytest.raises(Interrupted):
        run(settings, batches=ask_to_stop_at(5))
    used = checkpoint.newest(Path(settings.out) / "checkpoints", print).state["seconds"]
    run(settings, resume=True)
    stopped = checkpoint.newest(Path(settings.out) / "checkpoints", print).state["seconds"]
    assert 0 < used < 120 <= stopped < 150


def test_as_many_clips_a_step_in_another_number_of_processes(config, tmp_path, capsys):
    """Unless the config asks for others."""

    def found(clips: int) -> checkpoint.Checkpoint:
        return checkpoint.Checkpoint(tmp_path, 4, {"samples_per_step": clips})

    settings = config(data={"batch_size": 8}, grad_accumulation=2)
    assert same_batches(settings, found(16), 2) == settings  # nothing is known of how it began
    record_run(settings, Path(settings.out))
    assert same_batches(settings, None, 2) == settings
    assert same_batches(settings, found(16), 1) == settings
    assert same_batches(settings, found(16), 2) == replace(settings, data=replace(settings.data, batch_size=4))
    assert "4 clips in each batch instead of 8, so that a step stays 16 clips" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"a step of this run is 16 clips, which 6 batches \(3 processes"):
        same_batches(settings, found(16), 3)
    other = replace(settings, data=replace(settings.data, batch_size=6))
    assert same_batches(other, found(16), 2) == other
    cached = config("cached", data={"batch_size": 8}, latents={"samples": 64})
    record_run(cached, Path(cached.out))
    shared = same_batches(cached, found(8), 4)
    assert (shared.latents.batch_size, shared.data.batch_size) == (2, 8)  # what is encoded stays as it was
