"""YAML and key=value words become a RunConfig, or one line that says why not."""

import math
from itertools import pairwise

import pytest
import yaml

from vidcm.core.errors import UserError
from vidcm.settings import from_mapping, with_overrides
from vidcm.training.config import OptimizerConfig, RunConfig, load_config, record_run, resolved


def parsed(*words: str) -> RunConfig:
    return from_mapping(RunConfig, with_overrides({}, words))


def test_words_override_the_file_and_the_file_the_defaults(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("optimizer: {lr: 1e-3, warmup: 7}\nsteps: 11\n")
    config = load_config(path, ["optimizer.lr=5e-4", "data.crop=[64, 96]", "init=some/where"])
    assert (config.optimizer.lr, config.optimizer.warmup, config.steps) == (5e-4, 7, 11)
    assert (config.data.crop, config.init, config.seed) == ((64, 96), "some/where", RunConfig().seed)


def test_a_mapping_in_a_file_replaces_the_default_one():
    assert parsed("data.between={1: 1.0}").data.between == {1: 1.0}


@pytest.mark.parametrize(
    ("word", "value"),
    [("grad_clip=1e-4", 1e-4), ("steps=1e3", 1000), ("minutes=null", None), ("minutes=3", 3.0), ("out=7", "7")],
)
def test_a_value_takes_the_type_of_its_field(word, value):
    got = getattr(parsed(word), word.split("=")[0])
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["optimizer.lrr=1"], r"unknown key optimizer\.lrr \(did you mean lr\?\); known here: betas, eps, .*warmup"),
        (["sted=1"], r"unknown key sted .*known here: compile, context, data, device"),
        (["data.cash=there"], r"unknown key data\.cash \(did you mean cache\?\)"),
        (["lr=1e-4"], r"unknown key lr \(did you mean optimizer\.lr\?\)"),
        (["data.crops=[64, 64]"], r"unknown key data\.crops \(did you mean crop\?\)"),
        (["steps=many"], "steps must be a whole number, got 'many'"),
        (["steps=2.5"], "steps must be a whole number, got 2.5"),
        (["steps=true"], "steps must be a whole number, got True"),
        (["steps=.inf"], "steps must be a whole number, got inf"),
        (["steps=0"], "steps must be at least 1, got 0"),
        (["precision=fp8"], "precision must be one of bf16, fp32, got 'fp8'"),
        (["optimizer=3"], "optimizer must be a mapping"),
        (["optimizer.betas=[0.9]"], "betas must be a list of 2"),
        (["data.crop=[64, 65]"], "multiples of 32"),
        (["steps"], "'steps' is not an override: write key=value"),
        (["a..b=1"], "is not an override"),
        (["steps=[1"], "not valid YAML"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(words, message):
    with pytest.raises(UserError, match=message) as caught:
        parsed(*words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["a: [1", "- 1\n", "just words", b"\xff\xfe\x00\x01"])
def test_a_file_that_is_no_mapping_is_named(tmp_path, content):
    path = tmp_path / "run.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r"run\.yaml") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_the_resolved_config_reads_back_as_itself(tmp_path):
    config = parsed("optimizer.lr=3e-4", "data.between={1: 0.5, 3: 0.5}", "objective={q: 4}", "minutes=5")
    record_run(config, tmp_path)
    assert load_config(tmp_path / "config.yaml") == config
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == resolved(config)


def test_the_learning_rate_warms_up_and_falls_to_its_final_share():
    optimizer = OptimizerConfig(lr=1.0, warmup=10, final=0.1)
    rates = [optimizer.lr_at(step, 110) for step in range(110)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[60] == pytest.approx(0.1 + 0.9 * 0.5)  # half way down the cosine
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert all(later <= earlier for earlier, later in pairwise(rates[10:]))
    assert OptimizerConfig(lr=1.0, schedule="constant").lr_at(9_999, 10_000) == 1.0
    assert math.isclose(OptimizerConfig(lr=1.0, warmup=0, schedule="linear", final=0).lr_at(25, 100), 0.75)


def test_the_curriculum_counts_samples_and_ends():
    config = parsed("samples_per_stage=100", "last_stage=2")
    assert [config.curriculum_stage(seen) for seen in (0, 99, 100, 250, 9_999)] == [0, 0, 1, 2, 2]
    assert RunConfig().curriculum_stage(10**9) == 0
