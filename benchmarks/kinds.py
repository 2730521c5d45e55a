"""What tuning gains on three kinds of footage: `python -m benchmarks.kinds FOOTAGE -o OUT [--minutes 20]`.

FOOTAGE holds clips/ and samples/; none of what is taken of them has been seen by the shipped weights. Of each clip the
first half is for training, a quarter for validation, and the last quarter for neither: what the best model gains there,
it gains on what comes next in the same take. OUT/KIND/run is the run with its report. Run again, it goes on.
"""

import argparse
import json
import time
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vidcm.core.shipped import shipped
from vidcm.data.arrays import shrink
from vidcm.data.clips import Clip, ClipCache
from vidcm.finetuning.config import USUAL, FinetuneConfig
from vidcm.finetuning.judge import judge, load_interpolator
from vidcm.finetuning.run import finetune
from vidcm.finetuning.windows import held_out
from vidcm.media.reader import open_reader

SIDE = 320  # short side of what is kept
PLACES = (("dataset", "train"), ("dataset", "val"), ("heldout", "val"))  # of the half and the two quarters of a scene
WINDOWS = 10  # at 2x, of each split, and half as many at 4x
KINDS: Mapping[str, Mapping[str, tuple[tuple[int, int], ...]]] = {  # file -> its scenes, as frames from, to
    "animals": {
        "samples/dog_720p.mp4": ((0, 75),),
        "samples/horses_geese_cut_480p.mp4": ((0, 37), (37, 74)),
        "clips/022.mp4": ((0, 99),),
        "clips/141.mp4": ((0, 74),),
    },
    "people": {
        "samples/juggle_720p.mp4": ((0, 65),),
        "clips/091.mp4": ((0, 117),),
        "clips/085.mp4": ((0, 99),),
        "clips/107.mp4": ((0, 63),),
        "clips/045.mp4": ((0, 100),),
    },
    "street": {
        "samples/highway_vfr_720p.mp4": ((0, 57),),
        "clips/238.mp4": ((0, 85),),
        "clips/240.mp4": ((0, 86),),
        "clips/232.mp4": ((0, 77),),
    },
}


def divide(footage: Path, kind: str, out: Path) -> tuple[Path, Path]:
    """Datasets of a kind: one of training and validation clips, one of held-out clips."""
    clips: dict[Path, list[Clip]] = {out / "dataset": [], out / "heldout": []}
    for name, scenes in KINDS[kind].items():
        with open_reader(footage / name) as reader:
            frames = [(frame.instant, np.array(shrink(frame.rgb, SIDE))) for frame in reader]
        for first, end in scenes:
            cuts = [first + quarters * (end - first) // 4 for quarters in (0, 2, 3, 4)]
            for (start, stop), (place, split) in zip(pairwise(cuts), PLACES, strict=True):
                digest = f"{Path(name).stem}-{start}"
                clips[out / place].append(write(out / place, digest, split, frames[start:stop]))
    for place, found in clips.items():
        ClipCache(place, tuple(found)).save()
    return out / "dataset", out / "heldout"


def write(folder: Path, digest: str, split: str, frames: list[tuple[Fraction, np.ndarray]]) -> Clip:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = np.stack([picture for _, picture in frames])
    np.save(folder / f"{digest}.npy", pictures)
    instants = tuple(instant - frames[0][0] for instant, _ in frames)
    return Clip(digest, digest, split, digest, 0, 0, f"{digest}.npy", pictures.shape, 0, instants)


def measure(footage: Path, kind: str, out: Path, config: FinetuneConfig) -> dict[str, Any]:
    """PSNR in dB by set before and after, the gain on the validation clips, seconds of the run."""
    known, last = divide(footage, kind, out)
    began = time.monotonic()
    done = finetune(known, out / "run", config, resume="auto")
    took_s = time.monotonic() - began
    sets = {name.replace("val", "held out"): each for name, each in held_out(ClipCache.open(last), WINDOWS).items()}
    models = (Path(config.model) if config.model else shipped("motion"), done.best)
    heldout = [judge(load_interpolator(model, config.device), sets) for model in models]
    before, after = (mark.scores | judged for mark, judged in zip((done.before, done.after), heldout, strict=True))
    psnr = {name: (before[name]["psnr"], after[name]["psnr"]) for name in before}
    found = {"kind": kind, "seconds": took_s, "told": done.told, "gain_db": done.gain, "psnr": psnr}
    (out / "gain.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def row(found: Mapping[str, Any]) -> str:
    """Markdown: PSNR before / after by set."""
    pairs = (f"{before:.2f} / {after:.2f}" for before, after in found["psnr"].values())
    gain, took = f"{found['gain_db']:+.2f}", f"{found['seconds']:.0f} s"
    return f"| {' | '.join([found['kind'], gain, *pairs, took])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("footage", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--parts", default=",".join(USUAL))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--model", help="the shipped one by default")
    asked = parser.parse_args()
    length = {"steps": asked.steps} if asked.steps else {"minutes": asked.minutes}
    config = FinetuneConfig(asked.model, tuple(asked.parts.split(",")), windows=WINDOWS, **length)
    for number, kind in enumerate(asked.kinds.split(",")):
        found = measure(asked.footage, kind, asked.out / kind, config)
        if not number:
            print(f"| kind | gain dB | {' | '.join(found['psnr'])} | took |\n|{' --- |' * (len(found['psnr']) + 3)}")
        print(row(found), flush=True)
    print("PSNR in dB, before / after; the gain is the mean of the validation sets.")


if __name__ == "__main__":
    main()
