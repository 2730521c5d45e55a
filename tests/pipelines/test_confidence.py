"""The score of a made frame: the formula, its fit, and where it is kept."""

import math

import pytest
import torch

from vidcm.core.errors import UserError
from vidcm.core.judged import NEAR_DB, Judged
from vidcm.pipelines import Calibration, as_interpolator, calibration_of
from vidcm.pipelines.confidence import FILE, fit

LINE = Calibration(intercept=4.0, slope=-9.0, spread=2.5)


def flat(doubt: float) -> torch.Tensor:
    """A confidence map [1, 4, 6] with this mean squared doubt, unevenly spread."""
    doubts = torch.zeros(1, 4, 6)
    doubts[:, :2] = (2 * doubt) ** 0.5
    return 1 - doubts


def test_a_score_is_the_probability_of_being_near():
    even = 10 ** ((LINE.intercept - NEAR_DB) / 9.0)  # doubt at which 30 dB are expected
    assert LINE.scores(flat(even)).item() == pytest.approx(0.5, abs=1e-5)
    one_spread_better = even * 10 ** (-2.5 / 9.0)
    assert LINE.scores(flat(one_spread_better)).item() == pytest.approx(0.5 * (1 + math.erf(0.5**0.5)), abs=1e-5)


def test_more_doubt_is_a_lower_score_and_none_is_the_highest():
    scores = [LINE.scores(flat(doubt)).item() for doubt in (0.0, 1e-4, 1e-3, 4e-3, 0.02)]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] < 0.1 < 0.99 < scores[0] <= 1


def test_the_fit_finds_the_line_and_the_spread_it_was_made_from():
    generator = torch.Generator().manual_seed(0)
    doubt = 10 ** (torch.rand(4000, generator=generator) * 3 - 5)
    psnr = 4 - 9 * doubt.log10() + 2.5 * torch.randn(4000, generator=generator)
    found = fit(doubt, psnr)
    assert (found.intercept, found.slope) == (pytest.approx(4, abs=0.5), pytest.approx(-9, abs=0.2))
    assert found.spread == pytest.approx(2.5, rel=0.05)
    near = (psnr >= NEAR_DB).double().mean()
    scores = torch.cat([found.scores(flat(each)) for each in doubt.tolist()])
    assert scores.double().mean().item() == pytest.approx(near.item(), abs=0.01)


def test_it_is_kept_beside_the_weights(tmp_path):
    assert calibration_of(tmp_path) == Calibration()
    LINE.save(tmp_path)
    assert calibration_of(tmp_path) == LINE


@pytest.mark.parametrize("text", ["{", "[]", '{"slope": 3}', '{"spread": 0}', '{"tilt": 1}', '{"slope": "steep"}'])
def test_what_is_no_calibration_is_refused_in_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"confidence\.json is no calibration") as caught:
        calibration_of(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_shipped_model_is_calibrated():
    assert calibration_of() != Calibration()


def test_scored_frames_are_the_same_frames(pipe, pair):
    first, last = (frame[0] for frame in pair)
    plain = as_interpolator(pipe)(first, last, [0.25, 0.5])
    scored = as_interpolator(pipe, calibration=LINE)(first, last, [0.25, 0.5])
    assert isinstance(scored, Judged)
    torch.testing.assert_close(scored.frames, plain, rtol=0, atol=0)
    made = pipe(first[None], last[None], [0.25, 0.5])
    torch.testing.assert_close(scored.scores, LINE.scores(made.confidence[0, 0]))
