"""`vidcm prepare`: from footage to a dataset for training and tuning."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidcm.cli.model_path import ModelPath
from vidcm.cli.options import DEVICE
from vidcm.families.grids import check_generator
from vidcm.finetuning.check import check_clips
from vidcm.finetuning.config import FinetuneConfig
from vidcm.interpolation.check import check_model
from vidcm.interpolation.progress import Progress, clock_time, emit

if TYPE_CHECKING:
    from vidcm.data.prepare import Prepared
    from vidcm.finetuning.encode import Encoded

DROPPED = {
    "still": "where nothing moves",
    "repeat": "repeated pictures",
    "uneven": "between uneven repeats",
    "short": "in scenes too short",
}


@click.command("prepare", short_help="Make a dataset of your footage, to train or tune on.")
@click.argument("footage", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", "folder", metavar="DATASET", required=True, type=click.Path(path_type=Path), help="Its folder."
)
@click.option(
    "--short-side",
    default=320,
    show_default=True,
    type=click.IntRange(min=0),
    help="Of frames; 0: as large as they are.",
)
@click.option("--min-frames", default=9, show_default=True, type=click.IntRange(min=3), help="Of a scene.")
@click.option(
    "--val-share", default=0.1, show_default=True, type=click.FloatRange(0, 0.9), help="Of files to validate on."
)
@click.option(
    "--workers", default=None, type=click.IntRange(min=1), help="Processes.  [default: by the CPU, at most 8]"
)
@click.option(
    "--latents",
    "model",
    type=ModelPath(),
    metavar="MODEL",
    help="Also what this generator's encoders make of the clips and captions.",
)
@click.option("--num-frames", type=click.IntRange(1), help="Of a clip for them.  [default: by footage and model]")
@click.option("--size", metavar="WxH", help="Of them.  [default: by footage and model]")
@click.option("--device", type=DEVICE, default="auto", help="What encodes.  [default: auto]")
@click.option("--json", "as_json", is_flag=True, help="JSON events on stdout, one a line.")
def command(
    footage: tuple[Path, ...],
    folder: Path,
    workers: int | None,
    model: Path | None,
    num_frames: int | None,
    size: str | None,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Find the scenes of FOOTAGE (folders, video files) and keep their frames in DATASET.

    Cuts, stills, repeated pictures and files that cannot be read are left out, and named. Run again, it does only what
    is new. Tune on it with `vidcm finetune DATASET -o RUN`, train with `vidcm train CONFIG.yaml data.cache=DATASET`.
    """
    if model is None and (num_frames or size):
        raise click.UsageError(
            "--num-frames and --size describe clips for --latents MODEL: give that, or leave them out"
        )
    encoding = FinetuneConfig(num_frames=num_frames, size=size, device=device)
    digest = None if model is None else checked(folder, model, encoding)

    from vidcm.data.dataset import PrepareConfig
    from vidcm.data.prepare import prepare

    settings["short_side"] = settings["short_side"] or None
    show = Progress(as_json)
    try:
        done = prepare(
            footage,
            folder,
            PrepareConfig(**settings),
            workers=workers or min(8, os.cpu_count() or 1),
            progress=show,
        )
    finally:
        show.close()
    encoded = None if model is None else encode(folder, model, encoding, digest, as_json)
    if as_json:
        emit("done", **facts(done), **({} if encoded is None else {"latents": asdict(encoded)}))
    else:
        click.echo("\n".join(summary(done) + ([] if encoded is None else [told(encoded)])))


def checked(folder: Path, model: Path, config: FinetuneConfig) -> str:
    """The hash of the model's encoders. What they cannot do, or not in this dataset, is told before it is prepared."""
    check_model(model, "adapter.json")
    check_generator(model)
    check_clips(model, config)

    from vidcm.finetuning.encode import check_encoder

    return check_encoder(folder, model, config)


def encode(folder: Path, model: Path, config: FinetuneConfig, digest: str | None, as_json: bool) -> "Encoded":
    from vidcm.families.stock import hush
    from vidcm.finetuning.encode import encode_dataset

    hush()
    show = Progress(as_json)
    try:
        return encode_dataset(folder, model, config, digest=digest, progress=show)
    finally:
        show.close()


def told(encoded: "Encoded") -> str:
    """What was encoded, in a line."""
    facts = encoded.told
    short = f", {encoded.skipped} too short" if encoded.skipped else ""
    return (
        f"  latents of {encoded.clips} clips of {facts.num_frames} frames of {facts.width}x{facts.height} from "
        f"{encoded.scenes} scenes ({encoded.new} new{short}), encoder {facts.encoder}"
    )


def facts(done: "Prepared") -> dict[str, Any]:
    """The summary for scripts."""
    splits = {split: done.of_split(split) for split in ("train", "val")}
    return {
        "dataset": str(done.folder),
        "files": len(done.files),
        "new": done.new,
        "splits": {split: _amount(files) for split, files in splits.items()},
        "cuts": sum(file.cuts for file in done.files),
        "dropped_frames": {why: done.counts[why] for why in DROPPED},
        "unreadable": {file.path: file.problems[0] for file in done.unreadable},
        "damaged": {file.path: list(file.problems) for file in done.files if file.counts and file.problems},
        "copies": dict(done.copies),
        "gone": list(done.gone),
    }


def _amount(files: list[Any]) -> dict[str, int]:
    scenes = sum(len(file.scenes) for file in files)
    return {"files": len(files), "scenes": scenes, "frames": sum(file.frames for file in files)}


def summary(done: "Prepared") -> list[str]:
    """The summary for people, line by line."""
    lines = [f"{done.folder}: {_files(done.files)}, {done.new} looked at now"]
    for split in ("train", "val"):
        files = done.of_split(split)
        amount = _amount(files)
        length = clock_time(sum(float(s.instants[-1] - s.instants[0]) for file in files for s in file.scenes))
        lines.append(
            f"  {split:<5} {amount['scenes']} scenes, {amount['frames']} frames, {length}, from {_files(files)}"
        )
    lines += _left_out(done)
    if not done.of_split("val"):
        lines.append("  nothing to validate on: give a second video, or a manifest.csv with columns file and split")
    return [*lines, f"  look at {done.folder / 'contact.png'}; what was left out where is in {done.folder / 'sources'}"]


def _files(files: Sequence[Any]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def _left_out(done: "Prepared") -> list[str]:
    """What is not in the scenes: counted, files by name."""
    kinds = [f"{done.counts[why]} {said}" for why, said in DROPPED.items() if done.counts[why]]
    cuts = sum(file.cuts for file in done.files)
    lines = [f"  frames left out: {', '.join(kinds) or 'none'}; cuts: {cuts}"]
    lines += [f"  not readable: {file.path}: {file.problems[0]}" for file in done.unreadable]
    lines += [
        f"  damaged: {file.path}: {'; '.join(file.problems)}" for file in done.files if file.counts and file.problems
    ]
    lines += [f"  a copy: {path} of {original}" for path, original in done.copies.items()]
    barren = [file.path for file in done.files if file.counts and not file.scenes]
    lines += [f"  no scene in {path}" for path in barren]
    return lines + [f"  gone, left the dataset: {path}" for path in done.gone]
