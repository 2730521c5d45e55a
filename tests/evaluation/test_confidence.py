"""Scores beside true errors: of a method that knows when it errs, one that is wrong there, and a silent one."""

import json

import pytest
import torch

from tests.evaluation.conftest import panning
from vidcm.core.judged import Judged
from vidcm.evaluation.baselines import crossfade
from vidcm.evaluation.confidence import Witness
from vidcm.evaluation.config import EvaluationConfig
from vidcm.evaluation.report import summary, write_json
from vidcm.evaluation.run import evaluate, evaluate_clip

SMALL = EvaluationConfig(size="96x64", methods=("vidcm",), max_pairs=0)


def scored(sign: float):
    """Cross-fades that err the more the darker the picture is made, and score by it."""

    def interpolate(first, last, taus, *, position, **_):
        off = 0.02 * (1 + position * 7 % 5)
        return Judged(crossfade(first, last, taus) - off, torch.full((len(taus),), 0.5 - sign * off))

    return interpolate


@pytest.mark.parametrize(("sign", "expected"), [(1, 1), (-1, -1)])
def test_scores_that_order_frames_by_their_error_correlate(clip, sign, expected):
    still = clip("still.mp4", panning(12, speed=0))
    witness = Witness(scored(sign))
    evaluate_clip(still, {"vidcm": witness}, SMALL)
    verdict = witness.verdict()
    assert verdict["frames"] == 5
    assert verdict["rank_correlation"] == pytest.approx(expected)
    assert verdict["within_clips"] == pytest.approx(expected)
    assert verdict["mean_score"] == pytest.approx(0.5 - sign * 0.06, abs=1e-6)


def test_frames_within_30_db_are_counted(clip):
    """Offsets of 0.02, 0.04, 0.06, 0.08 and 0.1 are 34, 28, 24, 22 and 20 dB, where no value is held at black."""
    witness = Witness(scored(1))
    bright = [frame // 2 + 120 for frame in panning(12, speed=0)]
    evaluate_clip(clip("bright.mp4", bright), {"vidcm": witness}, SMALL)
    assert witness.verdict()["share_near"] == pytest.approx(0.2)


def test_clips_are_told_apart(clip):
    """Two clips in order, and between them none: the second is worse than its scores say."""
    witness = Witness(scored(1))
    witness.clips = [([0.9, 0.8], [30.0, 29.0]), ([0.9, 0.8], [20.0, 19.0])]
    verdict = witness.verdict()
    assert verdict["within_clips"] == pytest.approx(1)
    assert 0 < verdict["rank_correlation"] < 1


def test_a_method_without_scores_has_no_verdict(clip):
    witness = Witness(crossfade)
    evaluate_clip(clip("a.mp4", panning(5)), {"vidcm": witness}, SMALL)
    assert witness.verdict() == {}


def test_the_result_and_the_table_say_it(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("vidcm.evaluation.run.load_pipe", lambda config: None)
    monkeypatch.setattr("vidcm.pipelines.as_interpolator", lambda pipe, **options: scored(1))
    result = evaluate([folder], SMALL)
    write_json(tmp_path / "out.json", result)
    told = json.loads((tmp_path / "out.json").read_text())["confidence"]
    assert set(told) == {"frames", "rank_correlation", "within_clips", "mean_score", "share_near"}
    assert told["frames"] == 12
    assert f"rank correlation {told['rank_correlation']:.3f}" in summary(result)


def test_without_the_model_there_is_nothing_to_say(folder):
    result = evaluate([folder], EvaluationConfig(size="96x64", methods=("hold",), max_pairs=1))
    assert result["confidence"] == {}
    assert "confidence" not in summary(result)
