"""What is drawn on footage to see whether it stays where it is: a logo, a HUD, and subtitles that change; and thin
lines that differ from most ground by their colour alone."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

SHOWN, EACH = 34, 40  # frames for which a line of the subtitles is shown, of so many
LINES = ("What have you done?", "I told you already.", "Then we must leave now", "It is too late for that")
DESIGNED_AT = 320  # pixels of the short side
Layer = tuple[np.ndarray, np.ndarray]  # RGB 0..255 [H, W, 3] and opacity 0..1 [H, W], float32
Drawn = Callable[[int, int, int], Layer]


def logo(height: int, width: int, index: int) -> Layer:
    unit, mask = _unit(height, width), _plane(height, width)
    x, y = int(width - 76 * unit), int(36 * unit)
    cv2.circle(mask, (x, y), int(16 * unit), 255, -1, cv2.LINE_AA)
    _write(mask, "TV9", (int(x + 16 * unit), int(y + 8 * unit)), 0.8 * unit, 2 * unit)
    disc = cv2.circle(_plane(height, width), (x, y), int(9 * unit), 255, -1, cv2.LINE_AA)[..., None] / np.float32(255)
    return (235 * (1 - disc) + disc * np.float32([200, 30, 40])).astype(np.float32), _opacity(mask)


def hud(height: int, width: int, index: int) -> Layer:
    unit, mask = _unit(height, width), _plane(height, width)
    for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        ends = [(int(width / 2 + far * unit * x), int(height / 2 + far * unit * y)) for far in (8, 26)]
        cv2.line(mask, *ends, 255, max(1, round(1.5 * unit)), cv2.LINE_AA)
    corners = (int(14 * unit), int(height - 40 * unit)), (int(110 * unit), int(height - 22 * unit))
    cv2.rectangle(mask, *corners, 255, max(1, round(unit)), cv2.LINE_AA)
    _write(mask, "ALT 1200", (int(18 * unit), int(height - 26 * unit)), 0.5 * unit, 1.2 * unit)
    return np.full((height, width, 3), (60, 255, 90), np.float32), _opacity(mask)


def subtitles(height: int, width: int, index: int) -> Layer:
    unit, inside, outline = _unit(height, width), _plane(height, width), _plane(height, width)
    if index % EACH < SHOWN:
        line = LINES[index // EACH % len(LINES)]
        across = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, 0.65 * unit, 1)[0][0]
        place = (width - across) // 2, int(height - 30 * unit)
        _write(outline, line, place, 0.65 * unit, 4 * unit)
        _write(inside, line, place, 0.65 * unit, unit)
    return np.repeat(inside[..., None], 3, axis=2).astype(np.float32), _opacity(np.maximum(inside, outline))


def reticle(height: int, width: int, index: int) -> Layer:
    mask, x, y = _plane(height, width), width // 2, height // 2
    for far in (-60, -30, 30, 60):
        cv2.line(mask, (x + far, y - 6), (x + far, y + 6), 255, 1)
        cv2.line(mask, (x - 6, y + far), (x + 6, y + far), 255, 1)
    cv2.circle(mask, (x, y), 22, 255, 1, cv2.LINE_AA)
    return np.full((height, width, 3), (30, 160, 40), np.float32), _opacity(mask)


def frame_lines(height: int, width: int, index: int) -> Layer:
    mask = cv2.rectangle(_plane(height, width), (14, 14), (width - 15, height - 15), 255, 2)
    mask[height // 4 : -(height // 4)] = 0  # corners alone
    return np.full((height, width, 3), (220, 60, 50), np.float32), _opacity(mask)


def scale_lines(height: int, width: int, index: int) -> Layer:
    mask, x = _plane(height, width), width // 5
    for y in range(height // 4, 3 * height // 4, 12):
        cv2.line(mask, (x, y), (x + (16 if y % 24 else 26), y), 255, 1)
    _write(mask, "1200", (x - 8, height // 4 - 8), 0.4, 1)
    return np.full((height, width, 3), (0, 140, 190), np.float32), _opacity(mask)


def hairlines(height: int, width: int, index: int) -> Layer:
    """A frame rectangle and cross hairs, white."""
    mask, x, y = _plane(height, width), width // 2 + 1, height // 2 + 1
    cv2.rectangle(mask, (width // 10, height // 10), (width - 1 - width // 10, height - 1 - height // 10), 255, 1)
    cv2.line(mask, (width // 4, y), (3 * width // 4, y), 255, 1)
    cv2.line(mask, (x, height // 4), (x, 3 * height // 4), 255, 1)
    return np.full((height, width, 3), 255, np.float32), _opacity(mask)


LAYERS = (logo, hud, subtitles)
THIN = (reticle, frame_lines, scale_lines)  # one or two pixels wide, at any size
HAIR = (hairlines,)  # one pixel wide


def titled(picture: np.ndarray, index: int, opacity: float, layers: Sequence[Drawn] = LAYERS) -> np.ndarray:
    """uint8 RGB [H, W, 3] with all of it in front."""
    shown = picture.astype(np.float32)
    for layer in layers:
        colour, mask = layer(*picture.shape[:2], index)
        shown += opacity * mask[..., None] * (colour - shown)
    return shown.round().astype(np.uint8)


def opacity_at(height: int, width: int, index: int, layers: Sequence[Drawn] = LAYERS) -> np.ndarray:
    """Of all of it, 0..1 [H, W]."""
    return np.maximum.reduce([layer(height, width, index)[1] for layer in layers])


def lasts(first: int, last: int) -> bool:
    """Whether the subtitles stay the same."""
    return first // EACH == last // EACH and (last % EACH < SHOWN or first % EACH >= SHOWN)


def _unit(height: int, width: int) -> float:
    return min(height, width) / DESIGNED_AT


def _plane(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width), np.uint8)


def _opacity(mask: np.ndarray) -> np.ndarray:
    return mask / np.float32(255)


def _write(mask: np.ndarray, text: str, place: tuple[int, int], size: float, thickness: float) -> None:
    cv2.putText(mask, text, place, cv2.FONT_HERSHEY_DUPLEX, size, 255, max(1, round(thickness)), cv2.LINE_AA)
