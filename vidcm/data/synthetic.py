"""Rendered scenes whose motion is known exactly: textured layers that move over one another, large steps included.

A layer is an RGBA texture and a pose: the affine map from texture to frame at time t, smooth in t and not linear in it.
What is at p in the frame at t is at  pose(s) pose(t)^-1 p  at s, whether something hides it then or not: the true flow.
Pixel centres lie on whole coordinates. Time 0 is the first end, 1 the last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidcm.data.textures import TextureSource, label_mask, sprite_mask, texture

MARGIN = 1.3  # the background is this much larger than the frame; beyond it the texture is mirrored
SHEER = 0.12  # chance that what is behind a sprite shines through: glass, smoke, a reflection
LABELLED = 0.2  # chance of a logo or a subtitle, which stands still whatever moves behind it


@dataclass(frozen=True)
class Motion:
    """A smooth path of translation, rotation and zoom about `centre` (in pixels of the frame)."""

    centre: np.ndarray  # (x, y)
    step: np.ndarray  # translation from time 0 to 1, (x, y) in pixels
    bend: np.ndarray  # how far the path strays from a straight and even one, (x, y) in pixels
    turn: float = 0.0  # radians from time 0 to 1
    log_zoom: float = 0.0
    ease: float = 0.0  # uneven turning and zooming, -0.5 to 0.5

    def at(self, t: float) -> np.ndarray:
        """The map [3, 3] from where things are at time 0 to where they are at t."""
        uneven = t + self.ease * (t * t - t)
        zoom, angle = math.exp(self.log_zoom * uneven), self.turn * uneven
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        linear = np.array([[cos, -sin], [sin, cos]])
        moved = self.centre + self.step * t + self.bend * 4 * (t * t - t)
        return _affine(linear, moved - linear @ self.centre)


@dataclass(frozen=True)
class Layer:
    """rgba: uint8 [h, w, 4]; place: texture to frame at time 0, [3, 3]; motions apply one after another."""

    rgba: np.ndarray
    place: np.ndarray
    motions: tuple[Motion, ...]

    def pose(self, t: float) -> np.ndarray:
        matrix = self.place
        for motion in self.motions:
            matrix = motion.at(t) @ matrix
        return matrix


@dataclass(frozen=True)
class Scene:
    """Layers from back to front on a frame of height x width; the first covers the frame."""

    layers: tuple[Layer, ...]
    height: int
    width: int

    def render(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        """The frame at t, uint8 RGB [H, W, 3], and how much of it each layer covers, uint8 [layers, H, W]."""
        size = (self.width, self.height)
        back, *others = self.layers
        frame = cv2.warpAffine(back.rgba[..., :3], back.pose(t)[:2], size, borderMode=cv2.BORDER_REFLECT_101)
        cover = np.full((len(self.layers), self.height, self.width), 255, np.uint8)
        for index, layer in enumerate(others, start=1):
            rgba = cv2.warpAffine(layer.rgba, layer.pose(t)[:2], size)
            cover[index] = rgba[..., 3]
            frame = _blend(frame, rgba)
        return frame, cover

    def flow(self, cover: np.ndarray, t: float, s: float, factor: int = 4) -> np.ndarray:
        """Exact motion from t to s of the layer seen in each cell, float32 [2, H/factor, W/factor], in cells.

        cover: what render(t) said.
        """
        owner = visible_layer(cover, factor)
        y, x = np.indices(owner.shape, dtype=np.float64) * factor + (factor - 1) / 2
        there = np.stack([layer.pose(s) @ np.linalg.inv(layer.pose(t)) for layer in self.layers]) - np.eye(3)
        a, b, c = np.moveaxis(there[owner, :2], -1, 0)
        return np.moveaxis((a * x[..., None] + b * y[..., None] + c) / factor, -1, 0).astype(np.float32)


def visible_layer(cover: np.ndarray, factor: int) -> np.ndarray:
    """The layer that makes up most of what is seen in each cell of factor x factor pixels: int [H/factor, W/factor]."""
    _, height, width = cover.shape
    left = np.ones((height // factor, width // factor), np.float32)
    best, owner = np.zeros_like(left), np.zeros(left.shape, np.intp)
    for index in range(len(cover) - 1, -1, -1):
        alpha = cv2.resize(cover[index], left.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        seen = left * alpha
        owner[seen > best] = index
        best, left = np.maximum(best, seen), left - seen
    return owner


def _blend(frame: np.ndarray, rgba: np.ndarray) -> np.ndarray:
    alpha = cv2.cvtColor(rgba[..., 3], cv2.COLOR_GRAY2RGB)
    front = cv2.multiply(rgba[..., :3], alpha, scale=1 / 255)
    return cv2.add(front, cv2.multiply(frame, cv2.bitwise_not(alpha), scale=1 / 255))


def random_scene(
    rng: np.random.Generator, height: int, width: int, crops: TextureSource | None = None, reach: float = 0.16
) -> Scene:
    """A scene of a background and one to five sprites, now and then with a label in front.

    crops(rng, height, width) gives uint8 RGB textures out of real frames. reach: the largest translation between the
    ends, as a share of the width (0.16: 40 pixels at 256); the camera and a layer's own motion add up.
    """
    camera = _motion(rng, np.array([width, height]) / 2, reach * width, still=0.25, turn=0.02, zoom=0.04)
    layers = [_background(rng, height, width, crops, camera)]
    for _ in range(rng.integers(1, 6)):
        layers.append(_sprite(rng, height, width, crops, camera, reach))
    if rng.random() < LABELLED:
        layers.append(_label(rng, height, width))
    return Scene(tuple(layers), height, width)


def random_times(rng: np.random.Generator, count: int, steps: int = 32) -> list[float]:
    """`count` distinct instants strictly between 0 and 1, in order; all are exact in float32."""
    return sorted(float(i) / steps for i in rng.choice(np.arange(1, steps), count, replace=False))


def _background(rng, height: int, width: int, crops: TextureSource | None, camera: Motion) -> Layer:
    h, w = math.ceil(height * MARGIN), math.ceil(width * MARGIN)
    rgba = np.dstack([texture(rng, h, w, crops), np.full((h, w), 255, np.uint8)])
    return Layer(rgba, _affine(np.eye(2), np.array([(width - w) / 2, (height - h) / 2])), (camera,))


def _sprite(rng, height: int, width: int, crops: TextureSource | None, camera: Motion, reach: float) -> Layer:
    h, w = (max(12, round(side * rng.uniform(0.15, 0.7))) for side in (height, width))
    rgba = np.dstack([texture(rng, h, w, crops), sprite_mask(rng, h, w)])
    if rng.random() < SHEER:
        _thin(rgba, rng.uniform(0.3, 0.8))
    centre = rng.uniform(0, 1, 2) * (width, height)
    angle = rng.uniform(-math.pi, math.pi)
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    place = _affine(linear, centre - linear @ (np.array([w, h]) / 2))
    own = _motion(rng, centre, reach * width, still=0.15, turn=0.25 if rng.random() < 0.3 else 0.06, zoom=0.06)
    return Layer(rgba, place, (own, camera))


def _label(rng, height: int, width: int) -> Layer:
    h, w = round(height * rng.uniform(0.1, 0.25)), round(width * rng.uniform(0.2, 0.6))
    rgba = np.dstack([texture(rng, h, w, None), label_mask(rng, h, w)])
    if rng.random() < 0.5:
        _thin(rgba, rng.uniform(0.4, 0.9))
    corner = rng.uniform(0, 1, 2) * (width - w, height - h)
    return Layer(rgba, _affine(np.eye(2), corner.round()), ())


def _thin(rgba: np.ndarray, share: float) -> None:
    """Let through what is behind, in place."""
    rgba[..., 3] = (rgba[..., 3] * share).astype(np.uint8)


def _motion(rng, centre: np.ndarray, reach: float, *, still: float, turn: float, zoom: float) -> Motion:
    """Mostly small steps, now and then large ones, up to `reach` pixels; with probability `still` none at all."""
    if rng.random() < still:
        return Motion(centre, np.zeros(2), np.zeros(2))
    length, heading = reach * rng.beta(1, 2), rng.uniform(-math.pi, math.pi)
    step = length * np.array([math.cos(heading), math.sin(heading)])
    bend = length * rng.uniform(-0.15, 0.15, 2)
    return Motion(centre, step, bend, rng.normal(0, turn), rng.normal(0, zoom), rng.uniform(-0.5, 0.5))


def _affine(linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, shift
    return matrix


def moments(scene: Scene, times: Sequence[float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Frames at several times, uint8 [T, H, W, 3], and their covers."""
    frames, covers = zip(*(scene.render(t) for t in times), strict=True)
    return np.stack(frames), list(covers)
