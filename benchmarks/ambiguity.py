"""What a sampled motion is worth, where motion is ambiguous and where it is not: regression, steps, temperatures.

    python -m benchmarks.ambiguity FOOTAGE/clips --regression runs/motion-regression/model [--model DIR] [--json FILE]

Pairs of frames two apart are rebuilt and grouped by how far DIS sees them move: the lower, middle and upper third.
A row is a model and a way to sample it; with noise its scores are those of a single sample, on average over seeds.
`energy` is the energy score of patches (lower is better), by which a sampler that knows its doubt beats its own mean;
`apart` is how far two samples are from each other, in 8-bit levels.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.rows import Model, Row, Sample, score
from vidcm.core.errors import UserError
from vidcm.evaluation.ladder import motion_of
from vidcm.evaluation.windows import Window, find_clips, read_windows

GROUPS = ("all", "small motion", "middle motion", "large motion")
COLUMNS = ("psnr", "mpsnr", "gmsd", "sharpness", "flicker", "energy", "apart", "cpu_s")
TRUSTS = (0.6, 0.8, 1.0)  # how much of a regression's answer is taken, the product's among them
TEMPERATURES = (0.0, 0.5, 1.0, 2.0, 3.5, 6.0)  # times the product's


def rows_of(pipe: Any, regression: Any | None, teacher_steps: int) -> Iterator[Row]:
    from vidcm.models.scheduler import ConsistencyScheduler

    stored, model = pipe.scheduler.config, Model(pipe)

    def trusting(trust: float) -> Sample:
        sample = Model(regression).answer(num_inference_steps=1)

        def trusted(window: Window, seed: int) -> Tensor:
            regression.scheduler = ConsistencyScheduler(stored.start, stored.middle, 0.0, trust, 0.0)
            return sample(window, seed)

        return trusted

    yield Row("0 steps (draft)", model.answer(num_inference_steps=0), False)
    if regression is not None:
        for trust in sorted({*TRUSTS, stored.trust}):
            yield Row(f"regression, {trust:g} of it", trusting(trust), False)
    yield Row("random z", model.rung("random"), True)
    yield Row("1 step", model.answer(num_inference_steps=1), False)
    yield Row("2 steps", model.answer(), True)
    yield Row("4 steps", model.answer(num_inference_steps=4), True)
    if pipe.teacher is not None:
        yield Row(f"teacher, {teacher_steps} steps", model.rung("teacher", teacher_steps=teacher_steps), True)
    for factor in TEMPERATURES:
        heat = stored.temperature * factor
        yield Row(f"2 steps, noise x {factor:g}", model.answer(temperature=heat), factor > 0)


def thirds(motions: list[float]) -> list[str]:
    """The group of each window, by its rank in motion."""
    order = sorted(range(len(motions)), key=motions.__getitem__)
    place = {index: rank for rank, index in enumerate(order)}
    return [GROUPS[1 + 3 * place[index] // len(motions)] for index in range(len(motions))]


def compare(options: argparse.Namespace) -> dict[str, dict[str, dict[str, float | None]]]:
    """Group -> row -> scores, each window counted once."""
    from vidcm.evaluation.score import average
    from vidcm.pipelines import FrameInterpolationPipeline

    paths = find_clips(options.clips, options.split)
    windows = [w for path in paths for w in read_windows(path, 448, 256, 2, options.pairs) if not w.cut]
    pipe = FrameInterpolationPipeline.from_pretrained(options.model)
    regression = options.regression and FrameInterpolationPipeline.from_pretrained(options.regression)
    rows = list(rows_of(pipe, regression, options.teacher_steps))
    groups = thirds([motion_of(window) for window in windows])
    tables: dict[str, list] = {group: [] for group in GROUPS}
    for number, (window, group) in enumerate(zip(windows, groups, strict=True), start=1):
        table = {row.name: score(row, window, options.seeds) for row in rows}
        for each in ("all", group):
            tables[each].append(table)
        print(f"{number}/{len(windows)}", file=sys.stderr, flush=True)
    return {group: average(found) for group, found in tables.items()}


def markdown(result: dict[str, dict[str, dict[str, float | None]]]) -> Iterator[str]:
    for group, table in result.items():
        yield f"\n**{group}**\n\n| | {' | '.join(COLUMNS)} |\n|---{'|---' * len(COLUMNS)}|"
        for name, scores in table.items():
            values = ("" if scores[key] is None else f"{scores[key]:.4g}" for key in COLUMNS)
            yield f"| {name} | {' | '.join(values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="a motion model; default: the shipped one")
    parser.add_argument("--regression", type=Path, help="a model of benchmarks.regression")
    parser.add_argument("--split", default="val")
    parser.add_argument("--pairs", type=int, default=3, help="pairs a clip")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--teacher-steps", type=int, default=64)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    try:
        result = compare(options)
    except UserError as error:
        sys.exit(f"error: {error}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("\n".join(markdown(result)))


if __name__ == "__main__":
    main()
