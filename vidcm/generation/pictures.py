"""Given frames: read from image files, and brought to the size of a clip."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidcm.core.errors import UserError, WrongUse
from vidcm.core.hushed import stderr_shut


def read_image(path: str | Path) -> np.ndarray:
    """RGB uint8 [H, W, 3], as a viewer shows it: turned as its EXIF says."""
    try:
        data = np.fromfile(path, np.uint8)
    except PermissionError as error:
        raise WrongUse(f"image {path} cannot be read: check its permissions") from error
    except OSError as error:
        raise UserError(f"image {path} cannot be read: {error.strerror or error}") from error
    with stderr_shut():  # of one that is cut short OpenCV and libpng speak, too
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise UserError(f"{path} is not an image that can be read: give a whole PNG, JPEG or WebP")
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


@dataclass(frozen=True)
class Fitted:
    """pixels: RGB uint8 at the clip's size. note: what was done to another aspect, None if nothing was."""

    pixels: np.ndarray
    note: str | None


def fit(image: np.ndarray, height: int, width: int, how: str) -> Fitted:
    """An image at a size. how: "crop" cuts what sticks out, centred; "pad" puts black around it."""
    rows, columns = image.shape[:2]
    choose = max if how == "crop" else min
    scale = choose(height / rows, width / columns)
    near = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    shrinks = scale < 1
    small = (
        image
        if near == (columns, rows)
        else cv2.resize(image, near, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    )
    if near == (width, height):
        return Fitted(small, None)
    said = f"{columns}x{rows} {'cropped' if how == 'crop' else 'padded'} to the clip's {width}x{height}"
    top, left = (height - near[1]) // 2, (width - near[0]) // 2
    if how == "crop":
        return Fitted(small[-top : -top + height, -left : -left + width], said)
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + near[1], left : left + near[0]] = small
    return Fitted(canvas, said)
