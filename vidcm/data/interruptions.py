"""What interrupts a shot: a flash on one frame, a cut that was not found. Negatives for whatever compares frames.

The frames in between stay what they were, so that an interrupted pair is to be filled from the side that shows them:

    flash   on an end, or on a frame beyond one: no other frame is as bright, and motion found on it may be false
    cut     an end is of another shot: nothing of it is to be blended in; or the frame beyond an end is: its motion
            tells nothing of the pair's

Motion between the ends and to the frames beyond is measured on what is seen, as it will be when the model is used; the
motion that frames in between are judged by is not.
"""

from dataclasses import replace

import numpy as np

from vidcm.data.drawn import GRID, Drawn, flows_to

INSIDE = 0.7  # share of the cuts that lie within the pair, where they can


def flashed(rng: np.random.Generator, drawn: Drawn) -> Drawn:
    """One of the ends, or of the frames beyond them, is lit."""
    place = int(rng.choice([0, 1, -2, -1]))
    frames, known = drawn.frames.copy(), list(drawn.known)
    frames[place] = lit(rng, frames[place])
    side = {1: 0, -2: 1}.get(place)
    if side is not None and known[side] is None:
        known[side] = flows_to(drawn.frames[2:-2], drawn.frames[place])
    return replace(drawn, frames=frames, known=tuple(known))


def lit(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """A frame uint8 [H, W, 3] in the light of a flash, up to burnt out."""
    gain, lift = rng.uniform(1.2, 2.5), rng.uniform(10, 120)
    light = _light(rng, *frame.shape[:2])[..., None]
    return np.clip(frame * (1 + (gain - 1) * light) + lift * light, 0, 255).astype(np.uint8)


def _light(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Where a flash falls, 0..1, float32 [H, W]: everywhere; around a place; or, as a shutter that rolls over the
    sensor sees it, on the rows that were open."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    kind = rng.random()
    if kind < 0.5:
        return np.ones_like(x)
    if kind < 0.75:
        distance = (x - rng.random()) ** 2 + (y - rng.random()) ** 2
        return np.exp(-distance / rng.uniform(0.05, 0.5)).astype(np.float32)
    edge = rng.uniform(0.15, 0.85)
    return (y > edge if rng.random() < 0.5 else y < edge).astype(np.float32)


def joined(rng: np.random.Generator, drawn: Drawn, other: Drawn) -> Drawn:
    """What lies beyond a cut is of the other shot; no frame in between is nearer to the end beyond the cut."""
    late = rng.random() < 0.5
    can_be_inside = drawn.tau.max() <= 0.5 if late else drawn.tau.min() >= 0.5
    inside = rng.random() < INSIDE and can_be_inside
    reach = 2 if inside else 1
    frames, known, present = drawn.frames.copy(), list(drawn.known), drawn.beyond_present.copy()
    beyond = slice(-reach, None) if late else slice(0, reach)
    frames[beyond] = other.frames[beyond]
    if inside:
        # nothing moves across a cut: any motion found there would be a goal that no input foretells
        known[late] = np.zeros((2, len(drawn.tau), *(side // GRID for side in frames.shape[1:3])), np.float32)
        present[int(late)] = other.beyond_present[int(late)]
    return replace(drawn, frames=frames, known=tuple(known), beyond_present=present)
