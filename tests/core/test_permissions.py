"""Files that a library keeps for itself."""

import os
import stat
import sys

import pytest

from vidcm.core.permissions import open_as_new

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions are other ones there")


@pytest.mark.parametrize(("mask", "usual"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_get_what_a_new_one_gets_and_nothing_is_left(tmp_path, mask, usual):
    kept = os.umask(mask)
    try:
        (tmp_path / "part").mkdir(mode=0o755)
        hidden = tmp_path / "part" / "weights.safetensors"
        hidden.touch(mode=0o600)
        open_as_new(tmp_path)
    finally:
        os.umask(kept)
    assert stat.S_IMODE(hidden.stat().st_mode) == usual
    assert [file.name for file in tmp_path.rglob("*")] == ["part", "weights.safetensors"]
