"""What synthetic scenes are made of: pieces of real frames, noise, gradients, stripes; blobs, polygons, lines, text."""

import math
from collections.abc import Callable

import cv2
import numpy as np

TextureSource = Callable[[np.random.Generator, int, int], np.ndarray]  # (rng, height, width) -> uint8 RGB


def texture(rng: np.random.Generator, height: int, width: int, crops: TextureSource | None) -> np.ndarray:
    """uint8 RGB [height, width, 3]: out of a real frame mostly, when there are any."""
    if crops is not None and rng.random() < 0.7:
        return crops(rng, height, width)
    return PROCEDURAL[rng.integers(len(PROCEDURAL))](rng, height, width)


def sprite_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 [height, width], 255 inside a random shape; its outline is sharp or soft."""
    mask = np.zeros((height, width), np.uint8)
    SHAPES[rng.choice(len(SHAPES), p=[0.45, 0.25, 0.2, 0.1])](rng, mask)
    if rng.random() < 0.5:
        mask = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 2))
    mask[[0, -1]] = 0
    mask[:, [0, -1]] = 0
    return mask


def label_mask(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """uint8 [height, width]: writing, or a box."""
    mask = np.zeros((height, width), np.uint8)
    if rng.random() < 0.7:
        _letters(rng, mask)
    else:
        mask[1:-1, 1:-1] = 255
    return mask


def _colours(rng, *shape: int) -> np.ndarray:
    """Random colours float32 [*shape, 3] in 0..255; most are dull, as in the world."""
    grey = rng.uniform(10, 245, (*shape, 1))
    return np.clip(grey + rng.uniform(-1, 1, (*shape, 3)) * 90 * rng.random() ** 2, 0, 255).astype(np.float32)


def _noise(rng, height: int, width: int) -> np.ndarray:
    """Noise of several scales, coloured."""
    total = np.zeros((height, width, 3), np.float32) + _colours(rng)
    colourful = rng.random() ** 2
    for cells in (3, 8, 24, 64):
        grid = rng.standard_normal((cells, cells, 3), dtype=np.float32)
        grid = (colourful * grid + (1 - colourful) * grid[..., :1]) * rng.uniform(5, 45)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 255).astype(np.uint8)


def _gradient(rng, height: int, width: int) -> np.ndarray:
    """A smooth surface with little to hold on to."""
    smooth = cv2.resize(_colours(rng, 2, 2), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32) * rng.uniform(0, 4)
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def _stripes(rng, height: int, width: int) -> np.ndarray:
    """Bars or checks: the same thing again and again."""
    y, x = np.indices((height, width), dtype=np.float32)
    angle, period = rng.uniform(0, math.pi), rng.uniform(5, 40)
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period))
    if rng.random() < 0.5:
        wave *= np.sin((y * math.cos(angle) - x * math.sin(angle)) * (2 * math.pi / period))
    mix = np.clip(wave * rng.uniform(1, 4), -1, 1)[..., None] / 2 + 0.5
    dark, light = _colours(rng, 2)
    return (dark + (light - dark) * mix).astype(np.uint8)


def _blob(rng, mask: np.ndarray) -> None:
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    waves = sum(rng.normal(0, 0.5 / k**1.5) * np.cos(k * angles + rng.uniform(0, 6.28)) for k in (1, 2, 3, 4, 5))
    radius = np.exp(waves)
    _fill(mask, np.stack([np.cos(angles), np.sin(angles)], 1) * (radius / radius.max())[:, None])


def _polygon(rng, mask: np.ndarray) -> None:
    angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(3, 8)))
    _fill(mask, np.stack([np.cos(angles), np.sin(angles)], 1) * rng.uniform(0.6, 1, (len(angles), 1)))


def _fill(mask: np.ndarray, points: np.ndarray) -> None:
    """Fill the polygon with corners in [-1, 1], scaled to the mask; eight bits below the pixel."""
    size = np.array(mask.shape[::-1])
    cv2.fillPoly(mask, [np.round((points * 0.46 + 0.5) * size * 256).astype(np.int32)], 255, cv2.LINE_AA, 8)


def _lines(rng, mask: np.ndarray) -> None:
    """Wires, fences, limbs."""
    for _ in range(rng.integers(1, 5)):
        ends = (rng.uniform(0.05, 0.95, (2, 2)) * mask.shape[::-1]).astype(int)
        cv2.line(mask, ends[0].tolist(), ends[1].tolist(), 255, int(rng.integers(1, 5)), cv2.LINE_AA)


def _letters(rng, mask: np.ndarray) -> None:
    height = mask.shape[0]
    text = "".join(rng.choice(list("ABCEGHKMRSXZaegkrsz0235789&?"), 6))
    scale = rng.uniform(0.4, 1.2)
    for row in range(1, 4):
        origin = (2, round(height * row / 3.3))
        thickness = int(rng.integers(1, 4))
        cv2.putText(mask, text[row - 1 :], origin, cv2.FONT_HERSHEY_DUPLEX, scale, 255, thickness, cv2.LINE_AA)


PROCEDURAL = (_noise, _gradient, _stripes)
SHAPES = (_blob, _polygon, _lines, _letters)
