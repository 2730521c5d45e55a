"""An evaluation's result as a table to read and as JSON to keep."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidcm.evaluation.score import Scores

HEADINGS = {
    "psnr": "PSNR dB",
    "mpsnr": "moving dB",
    "ssim": "SSIM",
    "gmsd": "GMSD",
    "sharpness": "sharpness",
    "flicker": "flicker",
    "brightness": "brightness",
    "cpu_s_per_frame": "CPU s/frame",
    "energy": "energy",
    "psnr_of_mean": "mean's dB",
    "apart": "apart",
    "drift": "drift",
    "drift99": "drift 99%",
    "sliced": "sliced W.",
    "rbf": "kernel",
    "polynomial": "polynomial",
    "precision": "precision",
    "recall": "recall",
    "diversity": "diversity",
    "s_per_clip": "s/clip",
}
DECIMALS = {"brightness": 3, "sliced": 3, "precision": 2, "recall": 2, "diversity": 2, "s_per_clip": 2}
DECIMALS |= {"psnr": 2, "mpsnr": 2, "psnr_of_mean": 2, "flicker": 2, "sharpness": 3, "energy": 2, "cpu_s_per_frame": 3}
DECIMALS |= {"apart": 2, "drift": 2, "drift99": 2}


def table(rows: Mapping[str, Scores]) -> str:
    """Aligned text, one line per row; '-' where there is no value."""
    if not rows:
        return ""
    keys = list(next(iter(rows.values())))
    cells = [["", *(HEADINGS[key] for key in keys)]]
    cells += [[name, *(_number(scores[key], DECIMALS.get(key, 4)) for key in keys)] for name, scores in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *_right(line[1:], widths[1:])]) for line in cells)


def summary(result: Mapping[str, Any]) -> str:
    """What `vidcm evaluate interpolation` prints."""
    protocol = result["protocol"]
    counts = f"{protocol['clips']} clips, {protocol['pairs']} pairs, {protocol['cut_pairs']} across a cut left out"
    parts = [f"{protocol['size']}, {protocol['factor']}x: {counts}", *_smaller(protocol), table(result["methods"])]
    if result["ladder"]:
        closures = ", ".join(f"{name} {_number(value, 3)}" for name, value in result["gap_closure"].items())
        parts += ["", "Ladder of latents", table(result["ladder"]), f"gap closure: {closures}"]
        parts += ["", "The quarter of these pairs with the largest motion", table(result["ladder_large_motion"])]
    if told := result["confidence"]:
        parts += ["", f"confidence against true PSNR: rank correlation {_number(told['rank_correlation'], 3)} (1: the "]
        parts[-1] += f"higher score is the better frame), within clips {_number(told['within_clips'], 3)}; "
        parts[-1] += f"{told['frames']} frames score {told['mean_score']:.2f} in the mean, "
        parts[-1] += f"{told['share_near']:.2f} of them have 30 dB or more"
    return "\n".join(parts)


def _smaller(protocol: Mapping[str, Any]) -> list[str]:
    """What became of clips smaller than the size asked for, in one line, if there were any."""
    if not protocol["smaller"]:
        return []
    named = ", ".join(f"{file} ({size})" for file, size in protocol["smaller"].items())
    return [f"{'smaller, left out' if protocol['native'] else 'SCALED UP from a smaller size'}: {named}"]


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Whole or not at all: to a temporary name in the same folder, then renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2, allow_nan=False)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def _right(words: list[str], widths: list[int]) -> list[str]:
    return [word.rjust(width) for word, width in zip(words, widths, strict=True)]
