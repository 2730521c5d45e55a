from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import panning
from vidcm.core.errors import UserError
from vidcm.evaluation.ladder import ROWS, Climb, gap_closure, ladder, largest, motion_of
from vidcm.evaluation.windows import Window


def window(seed, speed=4):
    before, *frames = panning(4, seed=seed, speed=speed)
    instants = tuple(Fraction(n) for n in range(3))
    return Window(np.stack(frames), instants, shot=1, position=seed, before=(before, Fraction(-2)))


class KnownLatents:
    """A pipeline whose answers are known shares of the way from the cross-fade to the truth, or noise."""

    share: ClassVar = {"draft": 0.0, "believed": 0.1, "ect1": 0.25, "ect2": 0.5, "teacher": 0.5, "posterior": 1.0}

    device, teacher = "cpu", "a network"

    def __init__(self):
        self.calls = []

    def reconstruct(self, first, last, tau, latents, truth, *, around, seed, shot, position, shuffle_with, **settings):
        self.calls.append((latents, seed, shot, position))
        assert settings == {"teacher_steps": 16, "temperature": 0.5}
        assert first.shape == last.shape == (1, 3, 64, 96)
        assert around.before.shape == (1, 3, 64, 96)
        assert around.after is None
        assert truth.shape == (1, 3, 1, 64, 96)
        assert tau.tolist() == [[0.5]]
        fade = ((first + last) / 2).unsqueeze(2)
        if latents == "random":
            noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
            return truth / 2 + 0.25 + 0.1 * noise
        if latents == "shuffled":
            *_, other = shuffle_with
            assert (other - truth).abs().mean() > 0.1  # of another clip
            return other
        assert shuffle_with is None
        return fade + self.share[latents] * (truth - fade)


def climb(pipe):
    return Climb(pipe, seeds=range(7, 11), temperature=0.5, teacher_steps=16)


@pytest.fixture
def pipe():
    return KnownLatents()


@pytest.fixture
def rows(pipe):
    return ladder(climb(pipe), [[window(0)], [window(1)]])[0]


def test_the_rows_are_those_of_the_design_with_the_teachers_steps_in_its_name(rows):
    assert list(rows) == ["draft", "believed", "random", "ect1", "ect2", "teacher16", "shuffled", "posterior"]
    scores = {"psnr", "gmsd", "sharpness", "energy", "psnr_of_mean", "apart", "drift", "drift99"}
    assert all(set(row) == scores for row in rows.values())


def test_half_the_way_to_the_truth_closes_half_the_gap_in_energy(rows):
    assert gap_closure(rows)["energy"] == pytest.approx(0.5, abs=0.01)
    assert rows["ect1"]["energy"] == pytest.approx(0.75 * rows["draft"]["energy"], rel=0.02)
    assert rows["ect2"]["psnr"] - rows["draft"]["psnr"] == pytest.approx(6.02, abs=0.1)  # half the error
    assert gap_closure(rows)["psnr"] == pytest.approx(6.02 / (100 - rows["draft"]["psnr"]), abs=0.01)


def test_the_posterior_is_the_ceiling_and_a_strangers_latent_is_worse_than_none(rows):
    assert rows["posterior"]["psnr"] == 100
    assert rows["posterior"]["energy"] == pytest.approx(0, abs=1e-4)
    assert rows["shuffled"]["psnr"] < rows["draft"]["psnr"]


def test_noise_costs_a_sample_what_the_mean_over_seeds_does_not_pay(rows):
    assert rows["random"]["psnr_of_mean"] > rows["random"]["psnr"] + 0.5
    assert rows["ect2"]["psnr_of_mean"] == pytest.approx(rows["ect2"]["psnr"])


def test_only_rows_with_noise_are_sampled_again_and_the_keys_are_handed_on(pipe, rows):
    seeds = {row.latents: [call[1] for call in pipe.calls if call[0] == row.latents and call[3] == 1] for row in ROWS}
    sampled = {"random", "ect2", "teacher"}
    assert seeds == {name: [7, 8, 9, 10] if name in sampled else [7] for name in seeds}
    assert {call[2:] for call in pipe.calls} == {(1, 0), (1, 1)}


def test_one_clip_has_nobody_to_shuffle_with(pipe):
    with pytest.raises(UserError, match="at least two clips"):
        ladder(climb(pipe), [[window(0)]])


def test_there_is_no_gap_to_close_where_the_posterior_gains_nothing(rows):
    same = {name: rows["draft"] for name in ("draft", "ect2", "posterior")}
    assert gap_closure(same) == {"psnr": None, "energy": None}


def test_a_model_without_a_teacher_has_no_such_row(pipe):
    pipe.teacher = None
    assert list(climb(pipe)(window(0), window(1))) == [
        "draft",
        "believed",
        "random",
        "ect1",
        "ect2",
        "shuffled",
        "posterior",
    ]


def test_the_second_table_is_of_the_quarter_that_moves_most(pipe):
    clips = [[window(0, 1), window(1, 7)], [window(2, 2), window(3, 3)]]
    both, large = ladder(climb(pipe), clips)
    alone = climb(pipe)(clips[0][1], clips[1][1])
    assert large == alone
    assert both["draft"]["psnr"] != large["draft"]["psnr"]


def test_the_largest_quarter_is_a_quarter_and_never_nothing():
    assert sorted(largest([3.0, 9.0, 1.0, 4.0, 8.0, 2.0, 5.0, 6.0])) == [1, 4]
    assert largest([3.0, 9.0, 1.0]) == [1]


def test_a_faster_pan_moves_further():
    assert motion_of(window(0, 1)) == pytest.approx(2, rel=0.3)
    assert motion_of(window(0, 3)) == pytest.approx(6, rel=0.3)


def test_only_what_is_sampled_can_differ_between_seeds(rows):
    assert all(rows[name]["apart"] is None for name in ("draft", "believed", "ect1", "shuffled", "posterior"))
    assert rows["random"]["apart"] > 20  # 0.2 of 255, the range of four samples of noise of 0.1
    assert rows["ect2"]["apart"] == 0
