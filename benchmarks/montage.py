"""Labelled montages for the cut detector: shots of real footage joined, with things in between that look like cuts.

A montage is a few shots from different sources, hard cuts between them, and one trap: a change that is no hard cut. Two
scenes of one source are never joined, since many are consecutive pieces of one shot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from vidcm.data.splits import list_videos
from vidcm.media.reader import open_reader

SHORT_SIDE = 160  # pixels that frames are brought to; the detector looks at 64
SPAN = 12  # frames of a fade, a dissolve or a pan
KEPT = 80  # frames of a clip in memory

Shot = list[np.ndarray]  # uint8 RGB [H, W, 3]
Trap = Callable[[Shot, Shot, np.random.Generator], Shot]


@dataclass(frozen=True)
class Montage:
    """frames: uint8 RGB [H, W, 3]; cuts: indices of the frames that start a shot; trap: its name, and where it is."""

    frames: Shot
    cuts: frozenset[int]
    trap: str
    trapped: range


def fade_through_black(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """Down to black, a moment of it, and up into another shot."""
    down = [_scaled(frame, 1 - step / SPAN) for step, frame in enumerate(shot[: SPAN + 1])]
    up = [_scaled(frame, step / SPAN) for step, frame in enumerate(other[: SPAN + 1])]
    return [*down, *down[-1:] * 3, *up]


def dissolve(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """Into another shot, over SPAN frames."""
    pairs = zip(shot[: SPAN + 1], other[: SPAN + 1], strict=True)
    return [cv2.addWeighted(a, 1 - step / SPAN, b, step / SPAN, 0) for step, (a, b) in enumerate(pairs)] + other[SPAN:]


def flash(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """A camera's flash: one frame overexposed, the next one half."""
    gain, lift, at = random.uniform(1.3, 2.5), random.uniform(40, 120), len(shot) // 2
    lit = {at: (gain, lift), at + 1: ((1 + gain) / 2, lift / 3)}
    return [_scaled(frame, *lit.get(index, (1, 0))) for index, frame in enumerate(shot)]


def fast_pan(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """A camera that swings across the picture, 6 to 18 % of the window's width a frame, blurred as long as it moves."""
    height, width = shot[0].shape[:2]
    window, speed = width // 2, random.uniform(0.06, 0.18)
    travel, frames = 0.0, []
    for frame in shot:
        step = speed * window
        left = min(abs((travel % (2 * (width - window))) - (width - window)), width - window)
        blurred = cv2.blur(frame, (max(1, round(step / 2)), 1))
        frames.append(blurred[height // 4 : height // 4 + height // 2, round(left) : round(left) + window])
        travel += step
    return [cv2.resize(frame, (width, height)) for frame in frames]


def shake(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """A hand-held camera that jumps by up to 6 % of the width from frame to frame."""
    height, width = shot[0].shape[:2]
    jumps = random.uniform(-0.06 * width, 0.06 * width, (len(shot), 2))
    moves = [np.float32([[1.15, 0, x - 0.07 * width], [0, 1.15, y - 0.07 * height]]) for x, y in jumps]
    return [
        cv2.warpAffine(frame, move, (width, height), borderMode=cv2.BORDER_REFLECT)
        for frame, move in zip(shot, moves, strict=True)
    ]


def exposure(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """The exposure jumps and stays."""
    gain, at = random.choice([0.45, 0.6, 1.6, 1.9]), len(shot) // 2
    return [_scaled(frame, gain if index >= at else 1) for index, frame in enumerate(shot)]


def title(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """Words and a bar appear at once over the lower third."""
    made = []
    for index, frame in enumerate(shot):
        frame = frame.copy()
        if index >= len(shot) // 2:
            height, width = frame.shape[:2]
            frame[height * 3 // 4 : height * 15 // 16] = (20, 40, 120)
            place, scale = (width // 20, height * 7 // 8), height / 220
            cv2.putText(frame, "SOMEBODY, SOMEWHERE", place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255,) * 3, 2)
        made.append(frame)
    return made


def missing_frames(shot: Shot, other: Shot, random: np.random.Generator) -> Shot:
    """Four frames were lost."""
    at = len(shot) // 2
    return shot[:at] + shot[at + 4 :]


TRAPS: Mapping[str, Trap] = {
    "nothing": lambda shot, other, random: shot,
    "fade": fade_through_black,
    "dissolve": dissolve,
    "flash": flash,
    "pan": fast_pan,
    "shake": shake,
    "exposure": exposure,
    "title": title,
    "missing": missing_frames,
}


def load_shots(folder: Path, split: str) -> dict[str, list[Shot]]:
    """Source -> the shots of its clips."""
    found: dict[str, list[Shot]] = {}
    for entry in list_videos(folder):
        if entry.split == split:
            with open_reader(folder / entry.file) as reader:
                shot = [_small(frame.rgb) for frame, _ in zip(reader, range(KEPT), strict=False)]
            found.setdefault(entry.source or entry.file, []).append(shot)
    return found


def montage(shots: Mapping[str, Sequence[Shot]], trap: str, random: np.random.Generator) -> Montage:
    """Three shots of three sources; the trap is in the middle one, and fades and dissolves lead to a fourth."""
    names = random.permutation(list(shots))[:4]
    chosen = [_part(shots[name][random.integers(len(shots[name]))], random) for name in names]
    size = chosen[0][0].shape[1::-1]
    first, middle, last, other = ([cv2.resize(frame, size) for frame in shot] for shot in chosen)
    trapped = TRAPS[trap](middle, other, random)
    start = len(first)
    frames = [*first, *trapped, *last]
    cuts = frozenset({start, start + len(trapped)})
    return Montage(frames, cuts, trap, range(start + 1, start + len(trapped)))


def _part(shot: Shot, random: np.random.Generator) -> Shot:
    """16 frames of it, or all where it has less, with one more at each end than a fade takes."""
    length = min(len(shot), SPAN + 4)
    start = int(random.integers(len(shot) - length + 1))
    return shot[start : start + length]


def _small(frame: np.ndarray) -> np.ndarray:
    scale = SHORT_SIDE / min(frame.shape[:2])
    return cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _scaled(frame: np.ndarray, gain: float, lift: float = 0) -> np.ndarray:
    return np.clip(frame * np.float32(gain) + np.float32(lift), 0, 255).astype(np.uint8)
