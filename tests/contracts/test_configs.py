"""Every YAML under configs/ is read by the parser that its folder is for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vidcm import families
from vidcm.evaluation.config import EvaluationConfig
from vidcm.evaluation.run import check_methods
from vidcm.settings import from_mapping, read_yaml
from vidcm.training.checks import check_objective
from vidcm.training.config import load_config

CONFIGS = Path(__file__).parents[2] / "configs"


def check_run(path: Path) -> None:
    config = load_config(path)
    assert config.family in families.available()
    check_objective(config)


def check_evaluation(path: Path) -> None:
    check_methods(from_mapping(EvaluationConfig, read_yaml(path)).methods)


CHECKS: dict[str, Callable[[Path], Any]] = {"runs": check_run, "objectives": check_run, "eval": check_evaluation}


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.y*ml")), ids=lambda path: path.relative_to(CONFIGS).as_posix())
def test_every_config_is_read_by_its_parser(path: Path) -> None:
    CHECKS[path.relative_to(CONFIGS).parts[0]](path)


def test_every_folder_of_configs_has_a_parser_and_every_parser_a_config() -> None:
    assert {path.relative_to(CONFIGS).parts[0] for path in CONFIGS.rglob("*.y*ml")} == set(CHECKS)
