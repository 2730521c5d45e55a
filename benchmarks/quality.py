"""Quality against time, and against temperature: `python -m benchmarks.quality FOOTAGE/clips`.

Every second frame of the validation clips is rebuilt at 448x256, two pairs a clip, by the baselines, by the model in
0, 1, 2 and 4 steps, by its teacher, and in two steps at other temperatures. A row with noise is one sample, on average
over seeds; its energy score is that of all of them.

The seconds of an in-between frame are measured in the same run, on neighbouring pairs as in a file, with one thread and
with two. CPU seconds mean something on a busy machine, too; wall clock seconds do not.

Writes the tables into docs/quality.md, between its markers, and both figures into docs/figures. Five minutes on two
quiet cores.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: idle threads must not spin

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from benchmarks.interpolate import WARM_UP, describe, time_each
from benchmarks.methods import run_minterpolate, run_pairs
from benchmarks.quality_report import check_targets, named, write_report
from benchmarks.rows import Model, Row, Sample, Scores, score
from benchmarks.scene import panning
from vidcm.core.around import ALONE, Around
from vidcm.core.errors import UserError
from vidcm.evaluation.baselines import BASELINES
from vidcm.evaluation.score import average, rebuild
from vidcm.evaluation.windows import Window, find_clips, read_windows

SIZE = (448, 256)
STEPS = (0, 1, 2, 4)
TEMPERATURES = (0.0, 0.5, 1.0, 2.0, 3.5, 6.0)  # times the stored one
PEERS = {"crossfade": "cross-fade", "minterpolate": "minterpolate", "dis": "DIS"}
THREADS = (1, 2)
TIMED = 6  # in-between frames, after the warm-up


def rows_of(pipe: Any, teacher_steps: int) -> Iterator[Row]:
    """The ways that differ in time: peers, numbers of steps, the teacher."""
    model = Model(pipe, remember=True)
    for method, name in PEERS.items():
        yield Row(name, _peer(method), False)
    for steps in STEPS:
        yield Row(named(steps), model.answer(num_inference_steps=steps), steps > 1)
    if pipe.teacher is not None:
        yield Row(f"teacher, {teacher_steps} steps", model.rung("teacher", teacher_steps=teacher_steps), True)


def heated_rows(pipe: Any) -> Iterator[tuple[float, Row]]:
    """Temperature, and two steps at it; the stored one is left out: it is the row `2 steps`."""
    model, stored = Model(pipe, remember=True), pipe.scheduler.config.temperature
    for factor in TEMPERATURES:
        if factor != 1:
            yield stored * factor, Row(f"{factor:g}", model.answer(temperature=stored * factor), factor > 0)


def _peer(method: str) -> Sample:
    def sample(window: Window, seed: int) -> Tensor:
        return rebuild(window, window.sequence, BASELINES[method], method).transpose(0, 1)

    return sample


def qualities(options: argparse.Namespace, pipe: Any) -> dict[str, Any]:
    """{"rows": {name: scores}, "heated": {temperature: scores}}, each window counted once."""
    paths = find_clips(options.clips, options.split)
    windows = [w for path in paths for w in read_windows(path, *SIZE, 2, options.pairs) if not w.cut]
    if not windows:
        raise UserError("nothing to rebuild: every pair of frames lies across a cut")
    rows, heated = list(rows_of(pipe, options.teacher_steps)), list(heated_rows(pipe))
    tables = []
    for number, window in enumerate(windows, start=1):
        each = chain(rows, (row for _, row in heated))
        tables.append({row.name: score(row, window, options.seeds) for row in each})
        print(f"{number}/{len(windows)}", file=sys.stderr, flush=True)
    found = average(tables)
    at = {pipe.scheduler.config.temperature: found[named(2)]} | {heat: found[row.name] for heat, row in heated}
    told = {row.name: found[row.name] for row in rows}
    return {"windows": len(windows), "rows": told, "heated": dict(sorted(at.items()))}


def seconds(pipe: Any, teacher_steps: int) -> dict[int, dict[str, Scores]]:
    """Threads -> row -> wall and CPU seconds of an in-between frame."""
    frames = list(panning(*SIZE, TIMED + WARM_UP + 1))
    found: dict[int, dict[str, Scores]] = {}
    for threads in THREADS:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        found[threads] = {}
        for name, steps in _streams(pipe, teacher_steps, frames):
            wall_s, cpu_s = time_each(steps)
            found[threads][name] = {"wall_s": wall_s, "cpu_s": cpu_s}
            print(f"{threads} threads, {name}: {wall_s:.3f} s, {cpu_s:.3f} s CPU", file=sys.stderr, flush=True)
    return found


def _streams(pipe: Any, teacher_steps: int, frames: list) -> Iterator[tuple[str, Iterator[None]]]:
    """Under the names of `rows_of`, what yields after each in-between frame of a file."""
    from vidcm.pipelines import as_interpolator

    for method, name in PEERS.items():
        ahead = [*frames, *frames[-3:]]  # the filter looks ahead
        yield name, run_minterpolate(ahead) if method == "minterpolate" else run_pairs(BASELINES[method], frames)
    for steps in STEPS:
        yield named(steps), run_pairs(as_interpolator(pipe, steps=steps), frames)

    def teach(first: Tensor, last: Tensor, taus: list[float], *, around: Around = ALONE, position: int = 0) -> Tensor:
        options = {"around": around.batched(pipe.device), "teacher_steps": teacher_steps, "position": position}
        return pipe.reconstruct(first[None], last[None], taus, "teacher", **options)[0]

    if pipe.teacher is not None:
        yield f"teacher, {teacher_steps} steps", run_pairs(teach, frames)


def run(options: argparse.Namespace) -> Mapping[str, Any]:
    from vidcm.pipelines import FrameInterpolationPipeline

    machine = describe(max(THREADS))
    pipe = FrameInterpolationPipeline.from_pretrained(options.model)
    timed = seconds(pipe, options.teacher_steps)
    settings = {name: getattr(options, name) for name in ("split", "pairs", "seeds", "teacher_steps")}
    stored = pipe.scheduler.config.temperature
    return {"machine": machine, "settings": settings, "stored": stored, "seconds": timed, **qualities(options, pipe)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--model", type=Path, help="a motion model; default: the shipped one")
    parser.add_argument("--split", default="val")
    parser.add_argument("--pairs", type=int, default=2, help="pairs a clip")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--teacher-steps", type=int, default=16)
    parser.add_argument("--page", type=Path, default=Path("docs/quality.md"), help="the page with the markers")
    parser.add_argument("--figures", type=Path, default=Path("docs/figures"))
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    try:
        check_targets(options.page, options.figures)
        result = run(options)
        print(write_report(result, options.page, options.figures))
    except UserError as error:
        sys.exit(f"error: {error}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
