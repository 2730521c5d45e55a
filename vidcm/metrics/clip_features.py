"""What a clip looks like and how it moves, as fixed statistics: for distances between sets of clips, where no trained
network is to decide, and none is to be downloaded.

    look      mean over time of luma in 4 x 4 cells, of both colour differences in 2 x 2
    detail    orthonormal Haar wavelets of luma at up to four scales: ln(mean |w| + FLOOR) of each of the three bands in
              2 x 2 cells, and ln(rms / mean |w|), which is larger for sparse edges than for noise; of colour, the first
    motion    differences over 1, 2 and 4 frames of luma halved 0 to 3 times: ln(mean | | + FLOOR) in 2 x 2 cells; of
              second differences, which order makes small, in the whole picture
    rhythm    the standard deviation over time of the logarithm of the whole picture's change: stutter

Sparse wavelet bands are what natural pictures differ from noise by (Simoncelli 1999, doi:10.1117/12.366779). Statistics
are blind to what they do not count: a small distance is necessary, not sufficient. Their units differ: `Scaling` makes
each one's standard deviation over a reference set 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from vidcm.metrics.luma import luma

SCALES = 4
LAGS = (1, 2, 4)
FLOOR = 1 / 255  # less than a grey level of change is none
CELLS = 2
LEAST_DEVIATION = 0.02  # of a statistic over the reference: one that hardly varies there must not decide everything


def clip_features(clips: Tensor, chunk: int = 64) -> Tensor:
    """clips: RGB in 0..1, [N, 3, T, H, W], T at least 5, sides at least 8. Returns float32 [N, D]; D follows from the
    sides alone up to 32 pixels, and is the same above. chunk: clips looked at at once."""
    return torch.cat([_features(some.float()) for some in clips.split(chunk)])


@dataclass(frozen=True)
class Scaling:
    """Brings statistics to mean 0 and standard deviation 1 over the reference set that it was made of."""

    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, reference: Tensor) -> "Scaling":
        """reference: [N, D], N at least 2."""
        return cls(reference.mean(dim=0), reference.std(dim=0).clamp(min=LEAST_DEVIATION))

    def __call__(self, features: Tensor) -> Tensor:
        return (features - self.mean) / self.deviation


def _features(clips: Tensor) -> Tensor:
    frames = clips.transpose(1, 2)  # [N, T, 3, H, W]
    grey = luma(frames)
    colour = frames[:, :, (0, 2)] - grey
    return torch.cat((_look(grey, colour), _detail(grey, colour), _motion(grey[:, :, 0])), dim=1)


def _look(grey: Tensor, colour: Tensor) -> Tensor:
    return torch.cat([_cells(part.mean(dim=1), size) for part, size in ((grey, 4), (colour, CELLS))], dim=1)


def _detail(grey: Tensor, colour: Tensor) -> Tensor:
    found = []
    for bands in _haar(grey.flatten(0, 1)):
        size = _over_time(bands.abs(), grey)
        found.append(_logarithm(_cells(size, CELLS)))
        square = _over_time(bands.square(), grey).mean(dim=(-2, -1)) + FLOOR**2
        found.append(square.log() / 2 - _logarithm(size.mean(dim=(-2, -1))))
    for bands in _haar(colour.flatten(0, 1)):
        found.append(_logarithm(_over_time(bands.abs(), colour).unflatten(1, (2, 3)).mean(dim=(2, 3, 4))))
    return torch.cat(found, dim=1)


def _motion(grey: Tensor) -> Tensor:
    """grey: [N, T, H, W]."""
    found = []
    for scale in range(SCALES):
        small = avg_pool2d(grey, 2**scale) if scale else grey
        for lag in LAGS:
            found.append(_logarithm(_cells((small[:, lag:] - small[:, :-lag]).abs().mean(dim=1, keepdim=True), CELLS)))
        found.append(_logarithm(small.diff(n=2, dim=1).abs().mean(dim=(1, 2, 3))[:, None]))
    pace = _logarithm(grey.diff(dim=1).abs().mean(dim=(2, 3)))
    return torch.cat((*found, pace.std(dim=1, keepdim=True)), dim=1)


def _haar(pictures: Tensor) -> list[Tensor]:
    """The three bands of each scale, finest first: [N, C, H, W] -> [N, C * 3, H / 2, W / 2], ... down to 4 pixels."""
    found = []
    for _ in range(SCALES):
        height, width = (side // 2 * 2 for side in pictures.shape[-2:])
        if min(height, width) < 2 * CELLS:
            break
        a, b, c, d = (pictures[..., y:height:2, x:width:2] for y in (0, 1) for x in (0, 1))
        bands = torch.stack((a - b + c - d, a + b - c - d, a - b - c + d), dim=2) / 2
        found.append(bands.flatten(1, 2))
        pictures = (a + b + c + d) / 2
    return found


def _over_time(per_frame: Tensor, like: Tensor) -> Tensor:
    """[N * T, ...] -> mean over T, [N, ...]."""
    return per_frame.unflatten(0, like.shape[:2]).mean(dim=1)


def _cells(pictures: Tensor, size: int) -> Tensor:
    """[N, C, H, W] -> means of size x size cells, [N, C * size * size]."""
    return adaptive_avg_pool2d(pictures, size).flatten(1)


def _logarithm(size: Tensor) -> Tensor:
    return (size + FLOOR).log()
