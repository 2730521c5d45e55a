"""What can be told of a dataset and of a run by their folders, before anything heavy is imported."""

from math import lcm
from pathlib import Path

from vidcm.core.errors import WrongUse
from vidcm.core.resuming import Resume, goes_on
from vidcm.families.grid import Grid
from vidcm.families.grids import grid_of, makes_inbetweens, takes_adapter
from vidcm.finetuning.config import FinetuneConfig

MANIFEST, OLD_INDEX = "manifest.jsonl", "index.json"
SETTINGS = "finetune.yaml"  # of a run
CROP = 32  # pixels that sides of a generator's clips are multiples of: a crop's
LEAST = 5  # frames of them that can be judged
OF_GENERATORS = ("lora", "num_frames", "size", "prompt")
GENERATORS = "Wan, LTX, CogVideoX"


def check_dataset(folder: Path) -> None:
    """Raises WrongUse for a folder that `vidcm prepare` has not written."""
    if not folder.is_dir():
        raise WrongUse(f"{folder} is no dataset: make one with vidcm prepare FOOTAGE -o DATASET")
    if not any((folder / name).is_file() for name in (MANIFEST, OLD_INDEX)):
        raise WrongUse(f"{folder} is a folder but no dataset: make one with vidcm prepare {folder} -o DATASET")


def check_kind(model: Path, config: FinetuneConfig) -> None:
    """Raises WrongUse for settings that this kind of model has no place for, as far as its folder tells what it is."""
    for name in OF_GENERATORS if makes_inbetweens(model) else ():
        if getattr(config, name):
            said = name.replace("_", "-")
            raise WrongUse(f"{said} is for generators (--model DIR of {GENERATORS}): leave it out")
    if config.lora and takes_adapter(model) is False:
        raise WrongUse(f"lora is for networks of diffusers ({GENERATORS}), and {model.name} has none: leave it out")


def check_clips(model: Path, config: FinetuneConfig) -> None:
    """Raises WrongUse for clips that a generator cannot be tuned on, as far as they are asked for and its folder tells
    which it takes."""
    grid = grid_of(model)
    if grid is not None:
        side = lcm(CROP, grid.side)
        check_clip(config.num_frames or 1 + LEAST * grid.time, *(config.pixels or (side, side)), grid)


def check_clip(num_frames: int, height: int, width: int, grid: Grid) -> None:
    """Raises WrongUse for a clip that a model of that grid cannot be tuned on."""
    if height % CROP or width % CROP:
        near = "x".join(str(max(CROP, round(side / CROP) * CROP)) for side in (width, height))
        raise WrongUse(f"size must be multiples of {CROP} in training, got {width}x{height} (try {near})")
    grid.check(num_frames, height, width)
    if num_frames < LEAST:
        raise WrongUse(f"num-frames must be at least {LEAST} to be judged, got {num_frames}")


def check_run(run: Path, resume: Resume) -> bool:
    """Whether the run in the folder goes on. Raises WrongUse unless it can, or the folder can become that of a run."""
    if run.exists() and not run.is_dir():
        raise WrongUse(f"{run} is a file: name a folder for the run")
    begun = (run / SETTINGS).is_file()
    if begun and not resume:
        raise WrongUse(f"{run} holds an earlier run: continue it with --resume, or name a new folder")
    if not begun and run.is_dir() and any(path.name != "lock" for path in run.iterdir()):
        raise WrongUse(f"{run} holds files that are no fine-tuning run: name a new folder")
    return goes_on(resume, begun, run)
