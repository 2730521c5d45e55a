"""A camera that shakes: the path its picture takes over the frames of a sample, beside what the clip itself does.

Footage from a tripod or a steady hand goes on as it moved, and a model that saw little else believes it always does.
Held in a walking hand speed changes at once, somewhere between two frames or right at one, and the frames around a pair
then tell of a change that lies elsewhere.
"""

import cv2
import numpy as np

from vidcm.data.augment import Window, cut

REACH = (0.25, 16.0)  # pixels that speed changes by in the time between the ends, or a position strays: log-uniform


def camera_path(rng: np.random.Generator, instants: np.ndarray) -> np.ndarray:
    """Where the camera stands at `instants` [T], in units of the time between the ends: pixels (x, y), [T, 2]."""
    size = np.exp(rng.uniform(*np.log(REACH)))
    way = rng.choice((_kinked, _trembling, _swaying))
    return np.stack([size * rng.normal() * way(rng, instants) for _ in "xy"], axis=1)


def _kinked(rng: np.random.Generator, instants: np.ndarray) -> np.ndarray:
    """Even motion whose speed changes twice, at once or over a while; often right at a frame or halfway."""
    path = np.zeros(len(instants))
    for change in rng.normal(size=2):
        at = rng.uniform(-1.5, 2.5)
        at = round(2 * at) / 2 if rng.random() < 0.3 else at
        takes = 1e-3 if rng.random() < 0.5 else rng.uniform(0.1, 1.5)
        since = np.clip((instants - at) / takes + 0.5, 0, None)
        path += change * takes * np.where(since < 1, since**2 / 2, since - 0.5)
    return path


def _trembling(rng: np.random.Generator, instants: np.ndarray) -> np.ndarray:
    """Each frame on its own; less than speed changes in a step."""
    return 0.25 * rng.normal(size=len(instants))


def _swaying(rng: np.random.Generator, instants: np.ndarray) -> np.ndarray:
    """To and fro, in 2 to 20 times the time between the ends."""
    pace = np.exp(rng.uniform(np.log(0.3), np.log(3.0)))
    return np.sin(pace * instants + rng.uniform(0, 2 * np.pi))


def within(path: np.ndarray, window: Window, frame: tuple[int, int]) -> np.ndarray:
    """The path [T, 2], shifted so that a window which moves along it stays in the frame (height, width); smaller where
    it would not fit."""
    room = np.array([frame[1] - window.width, frame[0] - window.height])
    path = path * np.minimum(1, room / np.maximum(np.ptp(path, axis=0), 1e-6))
    start = np.array([window.left, window.top])
    return path + np.clip(0, -start - path.min(0), room - start - path.max(0))


def cut_off(frame: np.ndarray, window: Window, by: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`cut` of the window moved `by` (x, y), parts of pixels too."""
    moved = np.array([[1, 0, window.left + by[0]], [0, 1, window.top + by[1]]], np.float64)
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    piece = cv2.warpAffine(frame, moved, (window.width, window.height), flags=how, borderMode=cv2.BORDER_REFLECT_101)
    return cut(piece, Window(0, 0, window.height, window.width), size)
