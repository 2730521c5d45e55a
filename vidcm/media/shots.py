"""Hard cuts, found pair by pair while the file streams.

Two pictures of one shot resemble each other once motion is undone, however fast it is; across a cut they do not, and
their colours change as well. So a pair's score is the disagreement of structure after motion compensation, scaled by
the change of the colour histogram:

    score = disagreement * sqrt(histogram change)          both in [0, 1], on thumbnails 64 pixels high

Disagreement is 1 minus the contrast-structure term of SSIM (Wang et al. 2004) after the greater contrast was brought to
the lesser, where neither picture is burnt out: exposure changes and moderate flashes pass. What still looks like a cut
is looked at again with the brighter picture's levels mapped to the darker one's, and the lower score holds. A pair is a
cut if its score is high, and high beside those of the last pairs: confetti and strobe lights have a high score in every
pair, a cut in one.
"""

from collections import deque
from functools import cache
from statistics import median

import cv2
import numpy as np

from vidcm.media.motion import dis_flow

SHORT_SIDE = 64  # pixels of a thumbnail
BINS = 8  # of the histogram, per channel
WINDOW = 9  # pixels over which structure is compared
BURNT_OUT = 235  # mean grey level from which a neighbourhood shows no structure
LEAST_SEEN = 0.1  # part of a picture that must not be burnt out for the rest to be left out
LIT = 16.0  # grey levels of the mean between two pictures, one of which may be lit by a flash
DULL = 8.0  # grey levels of contrast below which a picture, black or a fog, would resemble anything mapped to it
NOISE = 20.0  # variance, in squared grey levels, that counts as flat: compression noise is no structure
THRESHOLD = 0.18  # the highest score within a scene of the footage is 0.10, cuts between its sources start at 0.34
OUTSTANDING = 2.5  # times the median of the last pairs
MEMORY = 8  # pairs; with up to half of them cuts, the next cut is still seen


class CutDetector:
    """Feed it the pairs of neighbouring frames in order; it remembers the scores of the last few.

    It decides at once, without looking ahead. Costs about 5 ms a pair on one CPU core.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self.threshold = threshold
        self.score = 0.0  # of the last pair, 0 (same shot) .. 1
        self._before = deque([0.0] * MEMORY, maxlen=MEMORY)
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # a frame and its thumbnail

    def is_cut(self, previous: np.ndarray, following: np.ndarray) -> bool:
        """Whether `following` starts a new shot. Both uint8 RGB [H, W, 3], any sizes."""
        self.score = cut_score(self._thumbnail(previous), self._thumbnail(following))
        usual = median(self._before)
        self._before.append(self.score)
        return self.score > self.threshold and self.score > OUTSTANDING * usual

    def _thumbnail(self, picture: np.ndarray) -> np.ndarray:
        """The thumbnail, kept for the next pair, where the same picture comes first."""
        if self._last is None or self._last[0] is not picture:
            self._last = picture, thumbnail(picture)
        return self._last[1]


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """uint8 RGB [H, W, 3] -> the same with a short side of 64 pixels, by averaging."""
    height, width = picture.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    size = max(SHORT_SIDE, round(width * scale)), max(SHORT_SIDE, round(height * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def cut_score(a: np.ndarray, b: np.ndarray) -> float:
    """How unlike one shot two thumbnails are, 0 .. 1. uint8 RGB [H, W, 3]; a second size is brought to the first."""
    if a.shape != b.shape:
        b = cv2.resize(b, a.shape[1::-1], interpolation=cv2.INTER_AREA)
    change = histogram_change(a, b)
    lumas = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (a, b)]
    score = _least_disagreement(*lumas) * change**0.5
    is_lit = abs(lumas[0].mean() - lumas[1].mean()) > LIT and min(luma.std() for luma in lumas) > DULL
    if score > THRESHOLD and is_lit:  # rare: the second look costs nothing
        score = min(score, _least_disagreement(*_exposed_alike(*lumas)) * change**0.5)
    return score


def histogram_change(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pixels that the two colour histograms do not have in common."""
    shares = [
        cv2.calcHist([each], [0, 1, 2], None, [BINS] * 3, [0, 256] * 3).ravel() / each[..., 0].size for each in (a, b)
    ]
    return max(0.0, float(1 - np.minimum(*shares).sum()))  # rounding may leave less than nothing


def _least_disagreement(a: np.ndarray, b: np.ndarray) -> float:
    return min(_disagreement(a, b), _disagreement(b, a))


def _exposed_alike(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The brighter picture with its levels mapped, in their order, to the other's. uint8 luma [H, W]."""
    if a.mean() < b.mean():
        return a, _exposed_alike(b, a)[0]
    shares = [np.bincount(each.ravel(), minlength=256).cumsum() / each.size for each in (a, b)]
    levels = np.searchsorted(shares[1], shares[0]).clip(0, 255).astype(np.uint8)
    return levels[a], b


def _disagreement(a: np.ndarray, b: np.ndarray) -> float:
    """1 - mean contrast-structure of a and of b moved onto a. uint8 luma [H, W]."""
    x, y = _grid(*a.shape)
    flow = dis_flow(a, b, "fast")
    moved = cv2.remap(b, x + flow[0], y + flow[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    is_seen = _blur(np.maximum(a, moved)) < BURNT_OUT
    a, moved = _matched(a.astype(np.float32), moved.astype(np.float32))
    mean_a, mean_b = _blur(a), _blur(moved)
    variance = _blur(a * a) - mean_a**2 + _blur(moved * moved) - mean_b**2
    covariance = _blur(a * moved) - mean_a * mean_b
    alike = (2 * covariance + NOISE) / (variance + NOISE)
    return float(1 - (alike[is_seen] if is_seen.mean() > LEAST_SEEN else alike).mean())


def _matched(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the greater contrast, scaled down to the other's, by no more than a flash would."""
    ratio = float(np.clip((a.std() + 1) / (b.std() + 1), 1 / 3, 3))
    return (a / ratio, b) if ratio > 1 else (a, b * ratio)


def _blur(plane: np.ndarray) -> np.ndarray:
    return cv2.blur(plane, (WINDOW, WINDOW))


@cache
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y
