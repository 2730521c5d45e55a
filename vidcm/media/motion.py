"""Dense motion between two frames: the one place that calls OpenCV's optical flow.

A flow from `a` to `b` is a displacement field on a's grid: the pixel a[y, x] is found again at
b[y + flow[1, y, x], x + flow[0, y, x]], in pixels of the grid that the field lives on.
"""

import threading
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Setting:
    """finest: the last scale on which patches are matched, 0 for single pixels; steps: of gradient descent on each."""

    preset: int
    finest: int
    steps: int


PRESETS = {
    "fast": Setting(cv2.DISOPTICAL_FLOW_PRESET_FAST, finest=2, steps=16),
    "medium": Setting(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, finest=1, steps=25),
    "fine": Setting(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM, finest=0, steps=12),  # for pictures of few pixels
}


class Estimators(threading.local):
    """Each thread's own, since one works on a single pair at once; with the size and the stride of their patches."""

    def __init__(self) -> None:
        self._created: dict[int, tuple[cv2.DISOpticalFlow, int, int]] = {}

    def __call__(self, preset: int) -> tuple[cv2.DISOpticalFlow, int, int]:
        if preset not in self._created:
            estimator = cv2.DISOpticalFlow.create(preset)
            self._created[preset] = estimator, estimator.getPatchSize(), estimator.getPatchStride()
        return self._created[preset]


_estimators = Estimators()


def _dis(name: str) -> cv2.DISOpticalFlow:
    """Set anew for each pair: where pictures are too small for its scales it changes them, and keeps to that."""
    setting = PRESETS[name]
    estimator, size, stride = _estimators(setting.preset)
    estimator.setFinestScale(setting.finest)
    estimator.setGradientDescentIterations(setting.steps)
    estimator.setPatchSize(size)
    estimator.setPatchStride(stride)
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
    size = (width // factor, height // factor)
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in flow]) / factor
