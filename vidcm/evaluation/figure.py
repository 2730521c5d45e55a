"""A contact sheet to look at: the truth and every method side by side, where the picture moves most."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from vidcm.core.errors import UserError
from vidcm.evaluation.baselines import Interpolator, to_bytes
from vidcm.evaluation.score import rebuild
from vidcm.evaluation.windows import Window

TILE, ZOOM, CAPTION = 128, 2, 20  # pixels of the picture, display pixels for each of them, height of a caption


def liveliest(windows: Sequence[Window]) -> Window:
    """The window whose ends differ most."""
    return max(windows, key=lambda window: float(_change(window).mean()))


def contact_sheet(windows: Mapping[str, Window], methods: Mapping[str, Interpolator]) -> np.ndarray:
    """One row per window (named by its clip), the middle one of its frames. Returns uint8 RGB [H, W, 3]."""
    return np.vstack([_row(name, window, methods) for name, window in windows.items()])


def save_sheet(path: Path, sheet: np.ndarray) -> None:
    """As PNG or whatever the suffix says."""
    try:
        done, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"cannot write a picture as {path.name}: use a name that ends in .png")
    path.write_bytes(data.tobytes())


def _row(clip: str, window: Window, methods: Mapping[str, Interpolator]) -> np.ndarray:
    true = window.sequence
    middle = len(window.taus) // 2
    pictures = {f"truth {clip}": window.frames_THWC[1 + middle]}
    for name, interpolate in methods.items():
        pictures[name] = to_bytes(rebuild(window, true, interpolate, name)[middle])
    rows, columns = _spot(window)
    return np.hstack([_tile(picture[rows, columns], name) for name, picture in pictures.items()])


def _tile(picture: np.ndarray, caption: str) -> np.ndarray:
    large = cv2.resize(picture, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_NEAREST)
    framed = cv2.copyMakeBorder(large, CAPTION, 2, 2, 2, cv2.BORDER_CONSTANT, value=(24, 24, 24))
    return cv2.putText(framed, caption, (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA)


def _change(window: Window) -> np.ndarray:
    first, last = window.frames_THWC[0].astype(np.float32), window.frames_THWC[-1].astype(np.float32)
    return np.abs(last - first).mean(axis=-1)


def _spot(window: Window) -> tuple[slice, slice]:
    """The TILE x TILE part whose ends differ most."""
    height, width = window.frames_THWC.shape[1:3]
    tall, wide = min(TILE, height), min(TILE, width)
    sums = cv2.integral(_change(window))
    totals = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    top, left = np.unravel_index(np.argmax(totals), totals.shape)
    return slice(top, top + tall), slice(left, left + wide)
