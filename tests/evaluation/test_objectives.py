"""The comparison of objectives: what a cell is tuned with, what the tables say, what is refused. Nothing is trained."""

import json

import pytest
from PIL import Image

from benchmarks.judging import append, finished
from benchmarks.objectives import Comparison
from benchmarks.objectives_report import BEGIN, END, write_report
from benchmarks.objectives_settings import OBJECTIVES, read_options, settings_of
from benchmarks.page import fill_page
from vidcm.core.errors import UserError
from vidcm.settings import from_mapping
from vidcm.training.config import RunConfig

CONFIG = "family: clip\nsamples_per_stage: 77\ndata: {batch_size: 8}\nlatents: {samples: 640, batch_size: 16}\n"


@pytest.fixture
def compare(tmp_path):
    """compare(option, ...) -> a comparison with a model directory that is one by its index alone."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model_index.json").write_text("{}")
    (tmp_path / "run.yaml").write_text(CONFIG)

    def make(*words):
        place = [str(tmp_path / "model"), "--config", str(tmp_path / "run.yaml"), "-o", str(tmp_path / "out")]
        options = read_options([*place, *words])
        return Comparison(settings_of(options), options.out, options.objectives, options.seeds)

    return make


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_gets_the_same_samples_and_its_own_values(compare, objective):
    made = compare("--samples", "4160", "--minutes", "3").recipe(objective, seed=2)
    config = from_mapping(RunConfig, made)
    assert config.steps * config.latents.batch_size == 4160
    assert (config.stage, config.seed, config.minutes, config.latents.seed) == (objective, 2, 3, 0)
    # half the 8320 samples of configs/objectives: stages and warm-ups half as long
    if objective in ("ect", "ct", "ict"):
        assert (config.samples_per_stage, config.last_stage) == (800, 5)
    else:
        assert config.samples_per_stage is None
    if objective in ("sct", "scd"):
        assert config.objective["warmup"] == 1000


def test_every_run_reads_one_cache_of_latents(compare):
    comparison = compare()
    made = [comparison.recipe(objective, seed)["latents"] for objective, seed in (("ect", 0), ("cd", 2))]
    assert made[0] == made[1] == {"samples": 640, "batch_size": 16, "seed": 0, "dir": str(comparison.out / "latents")}
    assert compare("latents.dir=elsewhere").recipe("ect", 1)["latents"]["dir"] == "elsewhere"


def test_results_of_other_settings_are_not_added_to(compare):
    compare("--samples", "160").check()
    compare("--samples", "160", "--seeds", "5", "--objectives", "ect").check()  # more cells of the same
    with pytest.raises(UserError, match="holds results of another samples, 160 and not 320"):
        compare("--samples", "320").check()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--objectives", "ect,etc"], "unknown objective 'etc', choose some of: cd, ct, ect"),
        (["--given", "middle"], "none, first, ends, got 'middle'"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(compare, words, told):
    with pytest.raises(UserError, match=told):
        compare(*words)


def test_a_family_that_makes_no_clips_is_refused(compare):
    with pytest.raises(UserError, match="motion makes no clips of its own"):
        compare("family=motion").check()


def test_a_row_cut_short_by_a_kill_is_not_one(tmp_path):
    append(tmp_path, {"kind": "ode"})
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"kind": "cons')
    assert finished(tmp_path) == [{"kind": "ode"}]
    append(tmp_path, {"kind": "consistency"})
    assert finished(tmp_path) == [{"kind": "ode"}, {"kind": "consistency"}]


def row(kind, evaluations, sliced, **more):
    score = {"value": sliced, "floor": 0.1, "deviation": 0.01}
    scores = dict.fromkeys(("sliced", "rbf", "precision", "recall", "diversity"), score)
    taken = {"sampler_cpu_s": 0.01 * evaluations, "whole_cpu_s": 0.02, "peak_mib": 500.0}
    return {"kind": kind, "evaluations": evaluations, "given": "none", "scores": scores, **taken, **more}


def test_the_tables_are_means_over_seeds_and_replace_the_old_ones_of_a_page(tmp_path):
    tuning = {"samples": 160, "seconds": 60.0, "peak_mib": 900.0}
    cells = {"teacher": {"tuning": None, "middles": None, "rows": [row("ode", 2, 0.8), row("ode", 64, 0.3)]}}
    for seed, value in enumerate((0.4, 0.6)):
        rows = [row("consistency", 2, value, apart=0.25)]
        cells[f"ect-{seed}"] = {"tuning": tuning, "middles": {"0.8": 0.5, "1.2": 0.4}, "rows": rows}
    settings = {"given": ["none"], "clips": 32, "samples": 160, "minutes": None}
    other = row("", 0, 0.2)["scores"]
    results = {"settings": settings, "cells": cells, "training_clips": other, "coded": other}
    table = write_report(json.loads(json.dumps(results)), tmp_path)
    assert "| ect | 2 | 0.500 ± 0.141 | 0.5000 ± 0.1414 |" in table
    assert "| held-out half against half |  | 0.100 |" in table
    assert "| ect | 2 | 160 | 1.0 | 3 | 900 |  | 1.2 |" in table
    assert table.index("| teacher | 2 |") < table.index("| teacher | 64 |") < table.index("| ect | 2 | 0.5")
    assert len(Image.open(tmp_path / "steps-none.png").getcolors(10**6)) > 10

    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    fill_page(page, table, BEGIN, END)
    fill_page(page, table, BEGIN, END)
    assert page.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    page.write_text("no place\n")
    with pytest.raises(UserError, match="has no place for the tables"):
        fill_page(page, table, BEGIN, END)
