"""Quality against time: what the tables and figures say of given figures, and how rows are sampled. No weights."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.panels import decades, roomy, ticks
from benchmarks.quality_report import BEGIN, END, check_targets, price, write_report
from benchmarks.rows import Model, Row, score
from tests.evaluation.conftest import panning
from vidcm.core.errors import UserError
from vidcm.evaluation.windows import Window

NAMES = ("cross-fade", "DIS", "0 steps", "1 step", "2 steps", "4 steps", "teacher, 16 steps")


def scores(psnr: float) -> dict:
    return {"psnr": psnr, "gmsd": 0.05, "sharpness": None, "flicker": 1.0, "energy": 40 - psnr, "apart": 0.1}


def measured() -> dict:
    rows = {name: scores(30 + place) | {"sharpness": 0.9 + place / 100} for place, name in enumerate(NAMES)}
    clocks = {name: {"cpu_s": 0.001 * 4**place, "wall_s": 0.002} for place, name in enumerate(NAMES)}
    heated = {heat: scores(36 - heat) | {"sharpness": 0.95} for heat in (0.0, 1.3, 2.6)}
    machine = {"cpu": "x", "cores": 2, "threads": 2, "load": 4.2}
    return {
        "machine": machine,
        "stored": 1.3,
        "windows": 7,
        "rows": rows,
        "heated": heated,
        "seconds": {1: clocks, 2: clocks},
    }


def test_the_report_fills_the_page_and_draws_both_figures(tmp_path):
    page = tmp_path / "quality.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        table = write_report(measured(), page, tmp_path)
    assert page.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    assert "| 2 steps | 34.00 | 0.0500 | 0.940 | 1.00 | 6.00 | 0.10 | 0.256 | 0.256 |\n" in table
    assert "| **1.3**, stored | 34.70 |" in table
    assert "7 pairs. The machine, 2 cores, was busy (load 4.2): the wall clock is left out." in table
    quiet = measured()
    quiet["machine"]["load"] = 0.1
    table = write_report(quiet, page, tmp_path)
    assert "| 2 steps | 34.00 | 0.0500 | 0.940 | 1.00 | 6.00 | 0.10 | 0.256 | 0.256 | 0.002 | 0.002 |\n" in table
    assert "was quiet." in table
    for name in ("time", "temperature"):
        assert len(Image.open(tmp_path / f"quality_against_{name}.png").getcolors(10**6)) > 10


def test_the_price_of_the_stored_temperature_is_told_against_no_noise():
    assert price(measured()) == (
        "The stored temperature costs 1.30 dB of two steps without noise, and wins -1.30 of energy score."
    )


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path):
    page = tmp_path / "quality.md"
    with pytest.raises(UserError, match="has no place for the tables"):
        check_targets(page, tmp_path)
    page.write_text(f"{BEGIN}\n{END}\n")
    check_targets(page, tmp_path)
    with pytest.raises(UserError, match="for the figures does not exist"):
        check_targets(page, tmp_path / "nowhere")


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.09), (28.3, 38.9), (0.0, 8.5), (-1.0, 1.0), (0.994, 0.9991)])
def test_ticks_are_few_round_numbers_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 11
    assert all(low <= value <= high for value in found)
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_a_logarithmic_axis_has_ones_twos_and_fives():
    assert decades(0.015, 3) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2])


def test_an_axis_has_room_around_one_value_alone():
    low, high = roomy([3.0])
    assert low < 3 < high


def window(seed: int = 0) -> Window:
    frames = np.stack(panning(3, seed=seed))
    return Window(frames, tuple(Fraction(n) for n in range(3)), shot=1, position=5)


def test_a_row_with_noise_is_scored_by_single_samples_and_their_distance():
    at = window()

    def sample(window, seed):
        return (window.truth + 0.1 * seed).clamp(0, 1).transpose(0, 1)

    one = score(Row("still", sample, False), at, seeds=2)
    two = score(Row("noisy", sample, True), at, seeds=2)
    assert one["psnr"] == 100
    assert one["apart"] == 0
    assert 50 < two["psnr"] < 70  # 100 for the first seed, some 20 for the second
    assert 15 < two["apart"] <= 26


class Counted:
    """A pipeline that looks at frames."""

    device = "cpu"

    def __init__(self):
        self.looked, self.family = [], self

    def look(self, frame):
        self.looked.append(frame)
        return f"look {len(self.looked)}"

    def reconstruct(self, first, last, tau, *, around, looks, latents, seed, shot, position):
        assert (latents, seed, shot, position) == ("random", 3, 1, 5)
        assert looks[2:] == (None, None)
        assert tau.tolist() == [[0.5]]
        return torch.stack([first, last], dim=2)


@pytest.mark.parametrize(("remember", "looks"), [(True, 2), (False, 6)])
def test_motion_in_a_window_is_measured_once_where_it_is_remembered(remember, looks):
    pipe, at = Counted(), window()
    sample = Model(pipe, remember).rung("random")
    for _ in range(3):
        assert sample(at, 3).shape == (3, 2, 64, 96)
    assert len(pipe.looked) == looks
    sample(window(1), 3)
    assert len(pipe.looked) == looks + 2
