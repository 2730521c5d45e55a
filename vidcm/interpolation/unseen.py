"""Colours under what is transparent: nobody sees them, until alpha is dropped or an encoder mixes neighbours.

Kept frames have the source's. Made ones have those of the source frames around them, where these are transparent too,
so that nothing flickers between the two; elsewhere what is near has coloured them, see `alpha.lifted`.
"""

from collections.abc import Sequence

import numpy as np

from vidcm.interpolation.pictures import Picture
from vidcm.media.alpha import LEAST

BAND = 2**18  # pixels that are mixed at once


def keep_unseen(made: np.ndarray, taus: Sequence[float], ends: Sequence[Picture | None]) -> None:
    """made: straight float32 RGBA [K, H, W, 4] at taus between the two ends, changed in place. None: absent."""
    clear = made[..., 3] <= LEAST
    given = [end and end.straight() for end in ends] if clear.any() else []
    if not any(given):
        return
    height, width = clear.shape[1:]
    rows = max(1, BAND // width)
    for top in range(0, height, rows):
        band = slice(top, top + rows)
        there = [each and (each[0][band], each[1][band]) for each in given]
        for picture, is_clear, tau in zip(made, clear, taus, strict=True):
            _mix(picture[band], is_clear[band], (1 - tau, tau), there)


def _mix(
    picture: np.ndarray,
    is_clear: np.ndarray,
    nearness: tuple[float, float],
    given: Sequence[tuple[np.ndarray, np.ndarray] | None],
) -> None:
    """picture: RGBA [h, w, 4], changed where it and an end are clear. given: of the ends, RGB 0..1 or bytes, alpha."""
    total, colours = np.zeros(is_clear.shape, np.float32), np.zeros((*is_clear.shape, 3), np.float32)
    for near, each in zip(nearness, given, strict=True):
        if each is not None:
            samples, alpha = each
            weight = np.where(alpha <= LEAST, np.float32(near), np.float32(0))
            top = np.float32(255 if samples.dtype == np.uint8 else 1)
            colours += weight[..., None] * (samples / top)
            total += weight
    place = is_clear & (total > 0)
    picture[place, :3] = colours[place] / total[place][:, None]
