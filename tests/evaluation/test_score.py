import time
from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.evaluation.conftest import panning
from vidcm.core.errors import UserError
from vidcm.evaluation.baselines import BASELINES
from vidcm.evaluation.score import average, mean, score
from vidcm.evaluation.windows import Window


@pytest.fixture
def window():
    return Window(np.stack(panning(4)), tuple(Fraction(n, 25) for n in range(4)), shot=2, position=5)


def perfect(window):
    return lambda first, last, taus, **keys: window.sequence[1:-1].transpose(0, 1)


def test_the_truth_itself_scores_perfectly(window):
    found = score(window, {"truth": perfect(window)})["truth"]
    assert found.pop("cpu_s_per_frame") >= 0
    assert found.pop("brightness") < 1  # against the ends, which the truth need not follow
    expected = {"psnr": 100, "mpsnr": 100, "ssim": 1, "gmsd": 0, "sharpness": 1, "flicker": 0}
    assert found == pytest.approx(expected, abs=1e-5)


def test_better_methods_score_better(window):
    found = score(window, BASELINES | {"truth": perfect(window)})
    for better, worse in (("truth", "dis"), ("dis", "crossfade"), ("crossfade", "hold")):
        for metric, sign in {"psnr": 1, "mpsnr": 1, "ssim": 1, "gmsd": -1, "flicker": -1}.items():
            assert sign * found[better][metric] > sign * found[worse][metric], (better, worse, metric)
    assert found["crossfade"]["sharpness"] < found["dis"]["sharpness"] < 1.05


def test_the_method_is_given_positions_and_the_keys_of_its_noise(window):
    asked = {}

    def method(first, last, taus, *, around, shot, position):
        asked.update(taus=taus, shot=shot, position=position)
        return torch.stack([first, last], dim=1)

    score(window, {"method": method})
    assert asked == {"taus": pytest.approx([1 / 3, 2 / 3]), "shot": 2, "position": 5}


def test_frames_that_are_not_finite_are_an_error_and_not_a_gap(window):
    def broken(first, last, taus, **keys):
        return torch.full((3, 2, 64, 96), float("nan"))

    with pytest.raises(UserError, match="mymodel made frames with NaN"):
        score(window, {"mymodel": broken})


def test_time_is_that_of_the_cpu_for_one_frame(window):
    def busy(first, last, taus, **keys):
        time.sleep(0.1)
        start = time.process_time()
        while time.process_time() < start + 0.1:
            pass
        return torch.stack([first, last], dim=1)

    assert 0.05 <= score(window, {"busy": busy})["busy"]["cpu_s_per_frame"] < 0.08


def test_a_mean_leaves_out_what_says_nothing():
    assert mean([1.0, float("nan"), None, float("inf"), 3.0]) == 2.0
    assert mean([float("nan")]) is None
    assert average([{"a": {"x": 1.0}}, {"a": {"x": None}}]) == {"a": {"x": 1.0}}
    assert average([]) == {}
