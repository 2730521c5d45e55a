"""A disk that fills up: one line that says so, and the checkpoint before it as it was."""

import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from vidcm.core.errors import UserError
from vidcm.training import checkpoint
from vidcm.training.disk import room_in

# what writing to a full tmpfs raised: Python's own, and safetensors'
FULL = {
    "python": OSError(errno.ENOSPC, "No space left on device"),
    "safetensors": SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
}


@pytest.mark.parametrize("error", FULL.values(), ids=FULL)
def test_a_full_disk_stops_the_run_and_leaves_the_last_checkpoint(config, run, monkeypatch, error):
    settings = config()
    saves = iter(range(1, 100))
    original = checkpoint.save_file

    def save_file(tensors, path):
        if next(saves) > 4:  # three files a checkpoint
            Path(path).write_bytes(b"half")
            raise error
        original(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    with pytest.raises(UserError, match=r"no space is left on the disk of .*run: make room, then go on with --resume"):
        run(settings)
    folder = Path(settings.out) / "checkpoints"
    assert [path.name for path in folder.iterdir()] == ["step-00000002"]  # the half one gave its room back
    monkeypatch.setattr(checkpoint, "save_file", original)
    run(settings, resume=True)
    whole = config("whole")
    run(whole)
    last = "checkpoints/step-00000006/params.safetensors"
    assert (Path(settings.out) / last).read_bytes() == (Path(whole.out) / last).read_bytes()


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(PermissionError), room_in(tmp_path, "go on"):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(SafetensorError), room_in(tmp_path, "go on"):
        raise SafetensorError("Error while serializing: I/O error: No such file or directory (os error 2)")
