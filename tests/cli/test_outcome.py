"""The last line of a run: what was found is named with its unit, and what was held with the way out."""

from types import SimpleNamespace

import pytest

from vidcm.cli.outcome import tell

PLAIN = {
    "source": "in.mp4",
    "target": "out.mp4",
    "problems": [],
    "dropped": [],
    "frames_in": 25,
    "frames_out": 50,
    "frames_made": 25,
    "frames_kept": 0,
    "frames_replaced": 0,
    "rate": "50",
    "duration_s": 1.0,
    "times_slower": "1",
    "repeats": 0,
    "filled": [],
    "cuts": [],
    "flashes": [],
    "overlays": [],
    "wall_s": 3.0,
}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, ""),
        ({"cuts": [7, 19]}, ", cuts at source frames 7, 19"),
        ({"cuts": [7]}, ", cut at source frame 7"),
        ({"repeats": 1}, ", 1 repeat replaced"),
        ({"flashes": [3]}, ", 1 flashed frame shown alone"),
        ({"overlays": [{}]}, ", 1 place kept still as overlays (not with --overlays off)"),
        ({"overlays": [{}, {}]}, ", 2 places kept still as overlays (not with --overlays off)"),
    ],
)
def test_the_last_line_names_what_was_found(found, said, capsys):
    tell(SimpleNamespace(**{**PLAIN, **found}), as_json=False)
    assert capsys.readouterr().out == f"out.mp4: 50 frames from 25 (25 made), 50 fps, 1.000 s{said}, in 0:03\n"
