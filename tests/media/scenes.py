"""Scenes that no other resembles, made on the spot."""

import numpy as np


def scene(seed: int, shift: float = 0.0, height: int = 90, width: int = 160) -> np.ndarray:
    """uint8 RGB [H, W, 3]: a random texture on several scales in colours of its own, moved by `shift` pixels."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    plane = np.zeros((height, width), np.float32)
    for _ in range(12):
        fx, fy, phase = rng.uniform(-0.25, 0.25), rng.uniform(-0.25, 0.25), rng.uniform(0, 6.3)
        plane += np.sin(fx * (x - shift) + fy * y + phase) * rng.uniform(0.3, 1)
    low, high = rng.uniform(10, 110, 3), rng.uniform(140, 245, 3)
    mix = 1 / (1 + np.exp(-2 * plane[..., None]))
    return (low + mix * (high - low)).astype(np.uint8)
