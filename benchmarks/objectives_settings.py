"""What `benchmarks.objectives` is asked for."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from vidcm.core.errors import UserError

ROOT = Path(__file__).parents[1]
OBJECTIVES = ("ect", "cd", "lcm", "ict", "ct", "scd", "sct")


@dataclass(frozen=True)
class Settings:
    """What the numbers depend on: results of others are not added to."""

    model: str
    config: str
    overrides: tuple[str, ...]
    samples: int
    minutes: float | None
    clips: int
    choosing: int
    steps: tuple[int, ...]
    hybrid: tuple[int, ...]
    teacher: tuple[int, ...]
    solver: str
    given: tuple[str, ...]
    middles: tuple[float, ...]
    batch: int


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Every objective on one pretrained model and one budget.")
    parser.add_argument("model", help="directory of a model trained with stage=diffusion")
    parser.add_argument("--config", type=Path, required=True, help="run that tunes it: data, optimizer, average")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--objectives", type=names, default=OBJECTIVES, help=f"default: {','.join(OBJECTIVES)}")
    parser.add_argument("--seeds", type=numbers, default=(0, 1, 2), help="default: 0,1,2")
    parser.add_argument("--samples", type=int, default=8192, help="of tuning, for each run (default 8192)")
    parser.add_argument("--minutes", type=float, help="of tuning, at most, for each run")
    parser.add_argument("--clips", type=int, default=192, help="held-out clips, and drawn ones (default 192)")
    parser.add_argument("--choosing", type=int, default=64, help="clips to choose the middle angle with; 0: keep it")
    parser.add_argument("--steps", type=numbers, default=(1, 2, 4), help="of tuned models (default 1,2,4)")
    parser.add_argument("--hybrid", type=numbers, default=(), help="steps of hybrid sampling, too: e.g. 4")
    parser.add_argument("--teacher", type=numbers, default=(1, 2, 4, 8, 16, 32, 64), help="its evaluations")
    parser.add_argument("--solver", default="euler", help="of the teacher: euler (DDIM; default) or heun")
    parser.add_argument("--given", type=names, default=("none", "first", "ends"), help="default: none,first,ends")
    parser.add_argument("--middles", type=reals, default=(0.5, 0.8, 1.01, 1.2, 1.35), help="middle angles to try")
    parser.add_argument("--batch", type=int, default=8, help="clips drawn at once (default 8)")
    parser.add_argument("--page", type=Path, help="a page whose tables, between markers, are written anew")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="laid over RUN.yaml, as for vidcm train")
    return parser.parse_intermixed_args(arguments)


def names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, names(text)))


def reals(text: str) -> tuple[float, ...]:
    return tuple(map(float, names(text)))


def settings_of(options: argparse.Namespace) -> Settings:
    """Raises UserError for what cannot be."""
    known = sorted(path.stem for path in (ROOT / "configs" / "objectives").glob("*.yaml"))
    for objective in options.objectives:
        if objective not in known:
            raise UserError(f"unknown objective {objective!r}, choose some of: {', '.join(known)}")
    if not (Path(options.model) / "model_index.json").is_file():
        raise UserError(f"{options.model} is no model directory: name one trained with stage=diffusion")
    for given in options.given:
        if given not in ("none", "first", "ends"):
            raise UserError(f"given must be some of none, first, ends, got {given!r}")
    values = {name: getattr(options, name) for name in Settings.__dataclass_fields__}
    return Settings(**{**values, "config": str(options.config), "overrides": tuple(options.overrides)})
