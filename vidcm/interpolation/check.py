"""What can be told about the paths before anything heavy is imported or opened."""

import os
from pathlib import Path

from vidcm.core.errors import UserError, WrongUse
from vidcm.interpolation.journal import folder_of
from vidcm.media.pipes import is_pipe
from vidcm.media.place import check_vacant
from vidcm.media.sequence import ImageSequence, is_sequence

INDEX = "model_index.json"
BEST = "best"  # of the folder of a run of `vidcm finetune`
REPORTS = (".json", ".html", ".htm", ".edl", ".fcpxml")


def check_paths(source: Path, target: Path, goes_on: bool = False) -> None:
    """Raises UserError unless source is a file with something in it and target is another one that can be written.

    goes_on: with what an interrupted run left."""
    check_source(source)
    check_target(target, goes_on)
    if target.exists() and source.exists() and os.path.samefile(source, target):
        raise WrongUse(f"{target} is the input itself: choose another name for the output")


def check_report(report: Path, source: Path, target: Path) -> None:
    """Raises UserError unless a report can be written there without touching a video."""
    if report.is_dir():
        raise WrongUse(f"--report {report} is a folder: name a file in it, such as {report / 'report.html'}")
    check_target(report)
    for video in (source, target):
        if report.absolute() == video.absolute() or (report.exists() and video.exists() and report.samefile(video)):
            raise WrongUse(f"--report {report} is one of the videos: choose another name for the report")
    if report.suffix.lower() not in REPORTS:
        raise WrongUse(f"--report {report}: its name must end in {', '.join(REPORTS)}, which says what is written")
    if report.suffix.lower() == ".fcpxml" and (is_pipe(target) or is_sequence(target)):
        raise WrongUse(f"--report {report} points into a video file, which {target} is not: take .edl, .json or .html")


def check_source(source: Path) -> None:
    if isinstance(source, ImageSequence) or is_pipe(source):
        return
    if source.is_dir():
        raise WrongUse(f"{source} is a folder, not a video: name a file in it")
    if not source.exists():
        raise WrongUse(f"{source} does not exist: check the path")
    if not os.access(source, os.R_OK):
        raise WrongUse(f"{source} cannot be read: check its permissions")
    if source.is_file() and source.stat().st_size == 0:
        raise UserError(f"{source} is empty: check that it was copied whole")


def check_target(target: Path, goes_on: bool = False) -> None:
    if is_pipe(target):
        return
    folder = target.absolute().parent
    if target.is_dir():
        raise WrongUse(f"{target} is a folder: name a file in it, such as {target / 'out.mp4'}")
    if not folder.is_dir():
        raise WrongUse(f"the folder {folder} does not exist: create it first, or write elsewhere")
    check_vacant(target, folder_of(target) if goes_on else None)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WrongUse(f"the folder {folder} cannot be written to: check its permissions, or write elsewhere")


def check_model(folder: Path | None, *others: str) -> None:
    """Raises UserError unless folder looks like a model directory. None is the shipped model.

    others: files that stand for the index as well."""
    if folder is None:
        return
    if folder.is_file():
        raise WrongUse(f"{folder} is a file: --model takes a diffusers directory of safetensors, not a checkpoint file")
    if not folder.is_dir():
        raise WrongUse(f"model directory {folder} does not exist: check the path (vidcm models lists the shipped ones)")
    if _has_any(folder, INDEX, *others):
        return
    if _has_any(folder / BEST, INDEX, *others):
        raise WrongUse(f"{folder} is a run of vidcm finetune, which keeps its best model: give --model {folder / BEST}")
    raise WrongUse(f"{folder} is not a complete model directory: {INDEX} is missing; copy all of it")


def _has_any(folder: Path, *names: str) -> bool:
    return any((folder / name).is_file() for name in names)
