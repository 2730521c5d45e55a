"""The frames of a sample before they are a batch's, and the motion that is measured on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidcm.media.motion import dis_flow, grey, reduce_flow

GRID = 4  # flows live on cells of GRID x GRID pixels


@dataclass(frozen=True)
class Drawn:
    """frames: uint8 [4 + K, H, W, 3], with the frames beyond the ends (of any content where not present) at both
    sides; tau, steps, beyond_present: see `samples.Sample`; known: the flows from the frames in between to (first,
    last), [2, K, h, w], where they are not to be measured on these frames."""

    frames: np.ndarray
    tau: np.ndarray
    steps: np.ndarray
    beyond_present: np.ndarray
    known: tuple[np.ndarray | None, np.ndarray | None] = (None, None)


def shrunken(frame: np.ndarray) -> np.ndarray:
    """Averaged over cells of GRID x GRID pixels."""
    height, width = (side // GRID for side in frame.shape[:2])
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def flows_to(between: Sequence[np.ndarray], end: np.ndarray) -> np.ndarray:
    """Measured motion from each frame in between to an end, in cells: float32 [2, K, h, w]."""
    goal = grey(end)
    return np.stack([reduce_flow(dis_flow(grey(frame), goal, "fine"), GRID) for frame in between], axis=1)


def flows_across(drawn: Drawn, ends_present: tuple[bool, bool]) -> dict[str, np.ndarray]:
    """Of the ends to each other and of the frames in between to both; zero to, and from, an absent end."""
    _, first, *between, last, _ = drawn.frames
    flows, ends = {}, {"first": first, "last": last}
    for name, present, known in zip(ends, ends_present, drawn.known, strict=True):
        if present and known is None:
            known = flows_to(between, ends[name])
        flows[f"flow_to_{name}"] = known if present else _nothing(first, len(between))
    for name, start, end in (("forward", first, last), ("backward", last, first)):
        flows[f"flow_{name}"] = (flows_to([start], end) if all(ends_present) else _nothing(first, 1))[:, 0]
    return flows


def flows_beyond(drawn: Drawn, present: np.ndarray) -> dict[str, np.ndarray]:
    """From the ends to the frames beyond them; zero where there is none."""
    before, first, *_, last, after = drawn.frames
    flows = {}
    for name, end, frame, there in zip(("before", "after"), (first, last), (before, after), present, strict=True):
        flows[f"flow_{name}"] = (flows_to([end], frame) if there else _nothing(end, 1))[:, 0]
    return flows


def _nothing(frame: np.ndarray, count: int) -> np.ndarray:
    return np.zeros((2, count, frame.shape[0] // GRID, frame.shape[1] // GRID), np.float32)
