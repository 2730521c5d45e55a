"""What a run is put together from."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from vidcm.core.errors import UserError
from vidcm.data.clips import ClipCache
from vidcm.finetuning import best, timing
from vidcm.finetuning.history import START, History, Mark
from vidcm.finetuning.judge import headline, judge
from vidcm.finetuning.plots import chart, ticks
from vidcm.finetuning.recipe import run_config
from vidcm.finetuning.timing import Costs, Plan, fit, told
from vidcm.finetuning.windows import held_out, referred, rendered

from .conftest import panning, write_dataset


def test_validation_windows_hold_the_true_frames_at_their_instants(dataset):
    sets = held_out(ClipCache.open(dataset), 2)
    frames = np.load(dataset / "three.npy")
    assert {name: [window.position for window in clips[0]] for name, clips in sets.items()} == {
        "val 2x": [1, 3],  # of 0, 1, 2, 3
        "val 4x": [1],  # of 0, 1
    }
    window = sets["val 4x"][0][0]
    np.testing.assert_array_equal(window.frames_THWC, frames[4:9])
    assert window.taus == (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))


def test_validation_windows_show_the_kept_frames_around_them_as_interpolation_does(dataset):
    frames = np.load(dataset / "three.npy")
    (inner, outer), (far,) = (clips[0] for clips in held_out(ClipCache.open(dataset), 2).values())
    np.testing.assert_array_equal(inner.before[0], frames[0])  # of the frames that are kept at 2x, 0, 2, 4, 6, 8
    np.testing.assert_array_equal(inner.after[0], frames[6])
    assert (inner.around.lead, inner.around.trail) == (1, 1)
    assert outer.after is None  # the clip ends
    np.testing.assert_array_equal(far.before[0], frames[0])
    assert far.before[1] == Fraction(0)


def test_a_perfect_interpolator_is_told_from_one_that_holds(dataset):
    """On a pan by whole pixels, the frame in the middle is the first one shifted: exact but for the border."""
    sets = held_out(ClipCache.open(dataset), 4)
    held = judge(lambda first, last, taus, **key: first[:, None].expand(-1, len(taus), -1, -1), sets)
    moved = judge(lambda first, last, taus, **key: first[:, None].roll(-3, dims=-1), {"val 2x": sets["val 2x"]})
    assert moved["val 2x"]["psnr"] > held["val 2x"]["psnr"] + 3
    assert headline(held) == pytest.approx((held["val 2x"]["psnr"] + held["val 4x"]["psnr"]) / 2)


def test_rendered_windows_are_the_same_every_time(config):
    (one,), (two,) = rendered()[0], rendered()[0]
    np.testing.assert_array_equal(one.frames_THWC, two.frames_THWC)
    assert one.taus == (Fraction(1, 2),)


def test_a_reference_may_be_a_dataset_and_must_hold_something(dataset, tmp_path):
    name = dataset.name
    prepared = referred([str(dataset)], 3) if (dataset / "manifest.jsonl").exists() else None
    assert prepared is None or f"reference {name}" in prepared
    with pytest.raises(UserError, match="no videos in"):
        referred([str(tmp_path)], 3)


def test_idle_counts_judgements_without_a_gain(tmp_path):
    history = History(tmp_path / "history.jsonl")
    counts = []
    for step, psnr in enumerate([30.0, 29.0, 31.0, 31.0, 30.5]):
        history.add(Mark("pictures" if step else START, step, psnr, {}))
        counts.append(history.idle("pictures"))
    assert counts == [0, 1, 0, 1, 2]
    assert history.idle("motion") == 0  # what an earlier part did not gain is not held against the next
    assert [mark.headline for mark in History(tmp_path / "history.jsonl").marks] == [30.0, 29.0, 31.0, 31.0, 30.5]
    history.forget_after("pictures", 2)
    assert [mark.step for mark in History(tmp_path / "history.jsonl").marks] == [0, 1, 2]


def model_folder(path: Path, content: str) -> Path:
    path.mkdir()
    (path / "weights").write_text(content)
    return path


def test_only_a_higher_mark_replaces_the_best(tmp_path):
    target = tmp_path / "best"
    for content, psnr, kept in (("a", 30.0, True), ("b", 30.0, False), ("c", 30.1, True)):
        model = model_folder(tmp_path / content, content)
        assert best.keep_if_better(model, target, Mark("pictures", 1, psnr, {})) == kept
    assert (target / "weights").read_text() == "c"
    assert best.mark_of(target).headline == 30.1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "best", "c"]


def test_a_model_moved_out_of_the_way_by_a_killed_run_comes_back(tmp_path):
    model_folder(tmp_path / ".best.123.old", "whole")
    model_folder(tmp_path / ".best.123.tmp", "half")
    best.tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert (tmp_path / "best" / "weights").read_text() == "whole"


@pytest.mark.parametrize(
    ("clock", "step_s"),
    [((100, 101, 102, 102.5, 103, 103.5, 104, 104.5), 0.5), ((40, 60), 20), ((90,), 90)],
    ids=["all", "two fit the limit", "one is past it"],
)
def test_a_step_is_timed_by_those_after_the_first_ones_which_compile(
    clock, step_s, dataset, config, model, tmp_path, monkeypatch
):
    now = iter([1000.0, 1000.0 + clock[-1] + 7])  # seven seconds to start and to save
    monkeypatch.setattr(timing.time, "monotonic", lambda: next(now))

    def train(settings) -> None:
        assert settings.minutes == 0.5
        Path(settings.out).mkdir()
        lines = (json.dumps({"step": i, "seconds": s}) for i, s in enumerate(clock, 1))
        (Path(settings.out) / "metrics.jsonl").write_text("\n".join(lines))

    settings = run_config("pictures", config, ClipCache.open(dataset), str(model), "", 1)
    assert timing.time_steps(settings, 30, tmp_path / "trial", train) == (step_s, 7)
    assert not (tmp_path / "trial").exists()


def seconds_of(plan: Plan, costs: Costs, parts: int, most: Plan) -> float:
    judged = costs.judgement * plan.evaluations * parts
    return costs.choosing * plan.windows / most.windows + costs.start * parts + judged + costs.step * plan.steps


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("choosing", [0.0, 105.0])
def test_what_is_planned_keeps_the_minutes_and_uses_them(choosing, parts):
    most, costs = Plan(300, 6, 12), Costs(judgement=7.0, choosing=choosing, step=0.7, start=5.0)
    for left_s in (30, 60, 120, 300, 1200):
        plan = fit(left_s, costs, most, parts)
        assert left_s - costs.step < seconds_of(plan, costs, parts, most) <= left_s
        assert costs.of(plan, most, parts) == pytest.approx(seconds_of(plan, costs, parts, most))
        assert 1 <= plan.evaluations <= 6
        assert 0 <= plan.windows <= 12
    assert (plan.evaluations, plan.windows) == (6, 12 if choosing else 0)


def test_where_hardly_anything_fits_the_least_is_done_and_said():
    most, costs = Plan(300, 6, 12), Costs(judgement=7.0, choosing=105.0, step=60.0, start=5.0)
    plan = fit(-20.0, costs, most, 1)
    assert plan == Plan(steps=1, evaluations=1, windows=0)
    said = "1 steps, too few to teach much, 1 validations a part; settings left as they are. More minutes have room"
    assert told(plan, most, 1, {"settings"}).startswith(said)
    assert costs.of(plan, most, 1) == 5 + 7 + 60
    assert told(plan, most, 1, {"settings"}, 92.0).endswith(". That is the least, and takes 1.5 min longer")
    assert "longer" not in told(most, most, 1, {"settings"}, 2.9) + told(most, most, 1, {"settings"}, -92.0)
    assert fit(30.0, costs, most, 0).windows == 3  # nothing else is asked for
    assert told(Plan(300, 6, 3), most, 0, {"settings"}).startswith("settings chosen on 3 windows of 12. More")
    assert fit(-20.0, costs, most, 0).windows == 1
    assert told(most, most, 0, {"settings"}) == "room for all that is asked"
    assert told(Plan(400, 6, 12), most, 1, {"settings"}) == "400 steps, 6 validations a part"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 5, 10]), (33.42, 33.61, [33.45, 33.5, 33.55, 33.6]), (0, 300, [0, 100, 200, 300])],
)
def test_ticks_are_round_and_within(low, high, expected):
    assert ticks(low, high) == expected


def test_a_chart_is_drawn_to_scale():
    """Equal steps of the values are equal steps on the page, and larger values stand higher."""
    root = ElementTree.fromstring(chart({"a & b": [(0, 1.0), (5, 2.0), (10, 3.0)]}, "title", "steps"))
    [line] = [element for element in root if element.tag.endswith("polyline")]
    (x0, y0), (x1, y1), (x2, y2) = (map(float, pair.split(",")) for pair in line.get("points").split())
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 - y0 == pytest.approx(y2 - y1, abs=0.2)
    assert x0 < x1
    assert y0 > y1
    assert "a & b" in [element.text for element in root]
    assert chart({"one": [(0, 5.0)]}, "a single point", "steps")


def test_the_crop_and_the_gaps_fit_the_footage(tmp_path, config, model):
    small = write_dataset(tmp_path / "small", {"a": ("train", panning(0, 4)), "b": ("val", panning(1))})
    data = run_config("pictures", config, ClipCache.open(small), str(model), "out", 10).data
    assert (data.crop, set(data.gaps), data.between) == ((64, 64), {2, 3}, {1: 1.0})
    assert data.batch_size == 2


def test_processes_that_share_clips_make_a_step_of_as_many(dataset, config, model):
    """Eight clips a step in four processes: two each, or more where several see the same clips."""
    cache, plain = ClipCache.open(dataset), replace(config, batch_size=None, parts=("motion",))
    for context, share in ((1, 2), (2, 4), (4, 8)):
        made = run_config("motion", replace(plain, context=context, shard=True), cache, str(model), "out", 10, 4)
        assert (made.data.batch_size, made.context, made.shard) == (share, context, True)


def test_frames_too_small_to_tune_on_are_refused(tmp_path, config, model):
    frames = panning(0)[:, :48]
    tiny = write_dataset(tmp_path / "tiny", {"a": ("train", frames), "b": ("val", frames)})
    with pytest.raises(UserError, match="have a side of 48 pixels, tuning needs 64"):
        run_config("pictures", config, ClipCache.open(tiny), str(model), "out", 10)
