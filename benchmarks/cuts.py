"""Precision and recall of the cut detector on labelled montages: `python -m benchmarks.cuts FOOTAGE/clips`.

Each montage (`benchmarks/montage.py`) has two hard cuts and a trap. A cut is found if it is found at the very frame;
every other frame that is called a cut is a false alarm, and is counted for its trap.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.montage import TRAPS, Montage, load_shots, montage
from vidcm.interpolation.looked import Looked
from vidcm.interpolation.shots import Shots, Told
from vidcm.media.reader import VideoFrame
from vidcm.media.shots import CutDetector

WANTED = 0.95  # of precision, and of recall


def shots_of(pictures: Sequence[np.ndarray]) -> list[Told[Looked]]:
    """Pictures uint8 RGB [H, W, 3] -> where shots start, as in a file."""
    frames = [
        VideoFrame(index, Fraction(index), Fraction(1), partial(pictures.__getitem__, index))
        for index in range(len(pictures))
    ]
    return list(Shots(CutDetector()).told(map(Looked, frames)))


def found_in(made: Montage) -> list[int]:
    """Frames that start a shot."""
    return [index for index, told in enumerate(shots_of(made.frames)) if told.is_cut]


def measure(folder: Path, split: str, each: int, seed: int) -> dict[str, Any]:
    """each: montages for every trap."""
    shots, random = load_shots(folder, split), np.random.default_rng(seed)
    hit, missed, alarms, pairs = 0, Counter[str](), Counter[str](), 0
    for trap in TRAPS:
        for _ in range(each):
            made = montage(shots, trap, random)
            found = set(found_in(made))
            hit += len(found & made.cuts)
            missed[trap] += len(made.cuts - found)
            for index in found - made.cuts:
                alarms[trap if index in made.trapped else "elsewhere"] += 1
            pairs += len(made.frames) - 1
    cuts, false = hit + sum(missed.values()), sum(alarms.values())
    return {
        "split": split,
        "sources": len(shots),
        "montages": each * len(TRAPS),
        "pairs": pairs,
        "cuts": cuts,
        "precision": hit / max(1, hit + false),
        "recall": hit / cuts,
        "missed": {trap: count for trap, count in missed.items() if count},
        "false_alarms": dict(alarms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, help="folder with a manifest.csv that has columns source and split")
    parser.add_argument("--split", default="val", help="which rows of it; thresholds are chosen on train")
    parser.add_argument("--each", type=int, default=12, help="montages for every trap")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    result = measure(options.clips, options.split, options.each, options.seed)
    print(f"{result['cuts']} cuts in {result['montages']} montages ({result['pairs']} pairs of frames)")
    for name in ("precision", "recall"):
        print(f"{name:<10}{result[name]:.3f} of {WANTED}: {'met' if result[name] >= WANTED else 'MISSED'}")
    print(f"missed beside {result['missed'] or 'none'}, false alarms {result['false_alarms'] or 'none'}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
