"""`vidcm evaluate interpolation`: clips in, the result of docs/decisions/0008-evaluation-json.md out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

import vidcm
from vidcm.core.devices import present_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.evaluation.baselines import BASELINES, Interpolator
from vidcm.evaluation.confidence import Witness
from vidcm.evaluation.config import EvaluationConfig
from vidcm.evaluation.figure import contact_sheet, liveliest, save_sheet
from vidcm.evaluation.ladder import Climb, Table, gap_closure, ladder
from vidcm.evaluation.score import average, rebuild, score
from vidcm.evaluation.windows import Window, find_clips, grows, read_windows, source_size, spread

MODEL = "vidcm"
FIGURE_ROWS = 8
Report = Callable[[str], None]


def evaluate(
    paths: Sequence[Path],
    config: EvaluationConfig,
    *,
    figure: Path | None = None,
    report: Report = lambda line: None,
) -> dict[str, Any]:
    """Rebuild dropped frames of every clip with every method. `report` gets a line of progress per clip.

    paths: video files and folders. figure: where to write a contact sheet of up to FIGURE_ROWS clips.
    """
    config = replace(config, device=present_device(config.device))
    check_methods(config.methods)
    files, smaller = sort_out(find_clips(list(paths), config.split), config)
    pipe = load_pipe(config) if MODEL in config.methods or config.ladder else None
    methods = load_methods(config, pipe)
    clips, kept = [], {}
    for number, file in enumerate(files, 1):
        report(f"{number}/{len(files)} {file.name}")
        clip, windows = evaluate_clip(file, methods, config, warm=not kept)
        clips.append(clip)
        if windows:
            kept[file] = windows
    if not kept:
        raise UserError("nothing to evaluate: every pair of frames lies across a cut")
    if figure is not None:
        shown = {file.name: liveliest(kept[file]) for file in (list(kept)[i] for i in spread(len(kept), FIGURE_ROWS))}
        save_sheet(figure, contact_sheet(shown, methods))
    rungs = _climb(pipe, list(kept.values()), config, report) if config.ladder else ({}, {})
    result = _result(config, clips, smaller, *rungs)
    return {**result, "confidence": methods[MODEL].verdict() if isinstance(methods.get(MODEL), Witness) else {}}


def sort_out(files: Sequence[Path], config: EvaluationConfig) -> tuple[list[Path], dict[str, str]]:
    """The files to evaluate, and the sizes of those smaller than `config.size`: left out where `config.native` asks for
    that, else scaled up. Raises UserError where none is left."""
    sizes = {file: source_size(file) for file in files}
    smaller = {file: f"{size[0]}x{size[1]}" for file, size in sizes.items() if grows(size, config.width_height)}
    kept = [file for file in files if not (config.native and file in smaller)]
    if not kept:
        width, height = max(sizes.values(), key=lambda size: size[0] * size[1])
        raise UserError(
            f"none of the {len(files)} clips is as large as {config.size}, the largest is {width}x{height}: give "
            f"larger footage, a smaller --size such as {width}x{height}, or leave out native, which scales it up"
        )
    return kept, {file.name: size for file, size in smaller.items()}


def evaluate_clip(
    file: Path, methods: Mapping[str, Interpolator], config: EvaluationConfig, *, warm: bool = False
) -> tuple[dict[str, Any], list[Window]]:
    """The clip's entry of the result, and the windows behind it. warm: call each method once before it is timed."""
    rows, windows, cut_pairs = [], [], 0
    witnesses = [each for each in methods.values() if isinstance(each, Witness)]
    for witness in witnesses:
        witness.begin_clip()
    for window in read_windows(file, *config.width_height, config.factor, config.max_pairs):
        if window.cut:
            cut_pairs += 1
            continue
        if warm and not rows:
            for name, interpolate in methods.items():
                rebuild(window, window.sequence, interpolate, name)
        rows.append(score(window, methods))
        for witness in witnesses:
            witness.testify(window)
        windows.append(window)
    return {"file": file.name, "pairs": len(rows), "cut_pairs": cut_pairs, "methods": average(rows)}, windows


def check_methods(names: Sequence[str]) -> None:
    """Raises UserError on a name that is neither a baseline nor the model."""
    known = [*BASELINES, MODEL]
    for name in names:
        if name not in known:
            raise WrongUse(f"unknown method {name!r} (known: {', '.join(known)})")


def load_pipe(config: EvaluationConfig) -> Any:
    """`config.model`, or the shipped one, on `config.device`."""
    from vidcm.pipelines import Inbetweener

    return Inbetweener.load(config.model, config.device)


def load_methods(config: EvaluationConfig, pipe: Any) -> dict[str, Interpolator]:
    """Interpolators by name, in the order of `config.methods`."""
    found: dict[str, Interpolator] = dict(BASELINES)
    if MODEL in config.methods:
        from vidcm.pipelines import as_interpolator, calibration_of

        options = {"steps": config.steps, "seed": config.seed, "temperature": config.temperature}
        found[MODEL] = Witness(as_interpolator(pipe, calibration=calibration_of(config.model), **options))
    return {name: found[name] for name in config.methods}


def _climb(pipe: Any, clips: list[list[Window]], config: EvaluationConfig, report: Report) -> tuple[Table, Table]:
    chosen = [[windows[i] for i in spread(len(windows), config.ladder_pairs)] for windows in clips]
    climb = Climb(
        pipe,
        seeds=range(config.seed, config.seed + config.ladder_seeds),
        temperature=config.temperature,
        teacher_steps=config.teacher_steps,
    )
    return ladder(climb, chosen, report)


def _result(
    config: EvaluationConfig, clips: list[dict[str, Any]], smaller: dict[str, str], rows: Table, large: Table
) -> dict[str, Any]:
    protocol = {
        **asdict(config),
        "fit": "scaled to cover (area average; bilinear where it grows), cropped around the centre",
        "mean": "over the frames of a pair, the pairs of a clip, the clips",
        "clips": len(clips),
        "pairs": sum(clip["pairs"] for clip in clips),
        "cut_pairs": sum(clip["cut_pairs"] for clip in clips),
        "smaller": smaller,
        "threads": torch.get_num_threads(),
        "version": vidcm.__version__,
    }
    return {
        "protocol": protocol,
        "methods": average([clip["methods"] for clip in clips if clip["pairs"]]),
        "ladder": rows,
        "ladder_large_motion": large,
        "gap_closure": gap_closure(rows) if rows else {},
        "clips": clips,
    }
