"""Whose folder it is: one run at a time, and what is said when settings change under it."""

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from vidcm.core.errors import UserError
from vidcm.training.loop import Interrupted
from vidcm.training.start import alone_in

from .tiny import TinyBatches


def test_a_second_run_in_one_folder_is_refused_while_the_first_is_at_work(config, run):
    settings = config()

    def second_start(number: int) -> None:
        if number == 3:
            with pytest.raises(UserError, match="is in use by another run: wait until it ends"):
                run(settings, resume=True)

    run(settings, batches=TinyBatches(before=second_start))
    run(settings, resume=True)


def test_a_folder_that_its_holder_left_in_a_hurry_is_free(tmp_path):
    with pytest.raises(KeyboardInterrupt), alone_in(tmp_path / "run"):
        raise KeyboardInterrupt
    assert (tmp_path / "run" / "lock").is_file()
    with alone_in(tmp_path / "run"):
        pass


def test_a_resumed_run_says_which_settings_differ(config, run, capsys):
    settings = config()
    run(settings)
    changed = replace(settings, steps=8, optimizer=replace(settings.optimizer, lr=0.5))
    run(changed, resume=True)
    assert "settings changed since the last start: steps 6 -> 8, optimizer.lr 0.01 -> 0.5\n" in capsys.readouterr().err
    run(changed, resume=True)
    assert "settings changed" not in capsys.readouterr().err


def test_the_watch_is_asked_after_each_save_and_can_end_the_run(config, run):
    seen: list[int] = []

    def watch(step: int) -> bool:
        assert (Path(settings.out) / "model" / "vae.safetensors").is_file()
        seen.append(step)
        return step == 4

    settings = config(steps=100)
    run(settings, watch=watch)
    assert seen == [2, 4]
    run(settings, watch=watch, resume=True)  # it is asked again, since it may have been killed before it could answer
    assert seen == [2, 4, 4]
    run(settings, watch=lambda step: step == 6, resume=True)
    assert sorted(path.name for path in (Path(settings.out) / "checkpoints").iterdir())[-1] == "step-00000006"


def test_a_run_that_was_asked_to_stop_off_the_schedule_is_not_watched_there(config, run):
    seen: list[int] = []
    stop = TinyBatches(before=lambda number: signal.raise_signal(signal.SIGTERM) if number == 3 else None)
    settings = config(save_every=3)
    with pytest.raises(Interrupted):
        run(settings, batches=stop, watch=lambda step: bool(seen.append(step)))
    run(settings, resume=True, watch=lambda step: bool(seen.append(step)))
    assert seen == [3, 6]


def test_what_the_watch_sees_after_a_resume_is_the_model_of_that_step(config, run):
    settings = config()
    run(settings)
    model = Path(settings.out) / "model" / "vae.safetensors"
    expected = model.read_bytes()
    model.write_bytes(b"of another step")
    seen = []
    run(settings, resume=True, watch=lambda step: bool(seen.append(model.read_bytes())))
    assert seen == [expected]


def test_a_run_killed_between_its_last_checkpoint_and_its_model_gets_that_on_resuming(config, run):
    settings = config()
    model = run(settings) / "vae.safetensors"
    expected = model.read_bytes()
    model.write_bytes(b"of the checkpoint before")
    run(settings, resume=True)
    assert model.read_bytes() == expected
