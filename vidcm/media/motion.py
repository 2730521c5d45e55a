"""Dense motion between two frames: the one place that calls OpenCV's optical flow.

A flow from `a` to `b` is a displacement field on a's grid: the pixel a[y, x] is found again at
b[y + flow[1, y, x], x + flow[0, y, x]], in pixels of the grid that the field lives on.
"""

from functools import cache

import cv2
import numpy as np

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    "fine": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,  # and down to single pixels: what the motion model starts from
}


@cache
def _dis(preset: str) -> cv2.DISOpticalFlow:
    estimator = cv2.DISOpticalFlow.create(PRESETS[preset])
    if preset == "fine":
        estimator.setFinestScale(0)
        estimator.setGradientDescentIterations(12)  # half of medium's, which pays for the finer scale
    return estimator


def grey(frame_HWC: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> uint8 luma [H, W]."""
    return cv2.cvtColor(frame_HWC, cv2.COLOR_RGB2GRAY)


def dis_flow(a: np.ndarray, b: np.ndarray, preset: str = "medium") -> np.ndarray:
    """Dense Inverse Search (arXiv:1603.03590). a, b: uint8 luma [H, W]. Returns float32 [2, H, W] (x, y), in pixels."""
    flow = _dis(preset).calc(a, b, None)  # type: ignore[call-overload]  # None: no starting flow
    return np.ascontiguousarray(flow.transpose(2, 0, 1))


def reduce_flow(flow: np.ndarray, factor: int) -> np.ndarray:
    """Average a flow [2, H, W] over factor x factor cells, in pixels of the coarse grid. H, W: multiples of factor."""
    _, height, width = flow.shape
    cells = flow.reshape(2, height // factor, factor, width // factor, factor)
    return cells.mean(axis=(2, 4), dtype=np.float32) / factor
