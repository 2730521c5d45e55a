"""Training batches as a pure function of (seed, step, rank): nothing to save, exact to resume.

Sample numbers run through steps, then a step's batches, then ranks, then places in the batch, so that two ranks with
batches of 8, or one that takes two of them a step, see, step for step, what one rank with batches of 16 sees. The epoch
follows from the sample number.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from vidcm.data.clips import ClipCache, build_cache, silent
from vidcm.data.config import DataConfig
from vidcm.data.workers import SampleSource, draw_ahead, frames_between

__all__ = ["Batches", "DataConfig", "open_cache"]


class Batches:
    """The batches of one split of a clip cache; see `batch` for what is in them.

    rank, world: which process of how many this is, unless a call says otherwise. parts: how many batches make a step.
    """

    def __init__(
        self,
        config: DataConfig,
        cache: ClipCache | None = None,
        split: str = "train",
        rank: int = 0,
        world: int = 1,
        parts: int = 1,
    ) -> None:
        self.config, self.split, self.rank, self.world, self.parts = config, split, rank, world, parts
        self.cache = ClipCache.open(config.cache) if cache is None else cache
        self.source = SampleSource(config, self.cache, split, parts)

    def between(self, step: int) -> int:
        """K, the number of in-between frames at a step."""
        return frames_between(self.config, step)

    def epoch(self, number: int) -> float:
        """How often the clips have been gone through before a batch."""
        return number * self.world * self.config.batch_size / self.source.pool.samples_per_epoch

    def batch(self, number: int, rank: int | None = None, world: int | None = None) -> dict[str, Tensor]:
        """Of all steps' batches number `number`.

        Images float32 RGB 0..1: first, last [B, 3, H, W], frames [B, 3, K, H, W]; tau float32 [B, K].
        first_present, last_present: bool [B], never both False; an absent end is black and its flows are zero.
        before, after: the frames beyond the ends [B, 3, H/4, W/4]; steps [B, 2]: how far off in time, in units of the
        pair; beyond_present: bool [B, 2].
        Flows float32 in cells of 4 x 4 pixels, (x, y): flow_forward (first to last), flow_backward, flow_before (from
        the first), flow_after (from the last) [B, 2, H/4, W/4];
        flow_to_first, flow_to_last [B, 2, K, H/4, W/4] from each in-between frame, exact in rendered scenes.
        Where `data.whole` is set, of these only images, tau and presence, and caption int64 [B].
        """
        place = (self.rank if rank is None else rank, self.world if world is None else world)
        return to_tensors(self.source.draw(number, *place))

    def clips_of(self, number: int) -> list[str]:
        """The files that a batch's samples are drawn from: each sample chooses between two places, both are named; with
        `data.cut` also those of the shot beyond a cut."""
        size, pool = self.config.batch_size, self.source.pool
        first = (number * self.world + self.rank) * size
        numbers = range(first, first + size)
        anchors = [pool.anchors(number) for number in numbers]
        if self.config.cut:
            anchors += [pool.elsewhere(number) or [] for number in numbers]
        return sorted({clip.file for each in anchors for clip, _ in each})

    def iterate(self, start: int = 0, *, workers: int | None = None) -> Iterator[dict[str, Tensor]]:
        """The batches number start, start + 1, ... without end, made ahead of need by worker processes.

        workers: as configured by default; 0 makes batches in this process, when asked for. Their number never changes
        what is in a batch.
        """
        workers = self.config.workers if workers is None else workers
        if workers == 0:
            yield from map(self.batch, itertools.count(start))
        place = (start, self.rank, self.world, workers)
        with closing(draw_ahead(self.config, self.cache.folder, self.split, *place, self.parts)) as stream:
            yield from map(to_tensors, stream)


def open_cache(config: DataConfig, progress: Callable[[int, int, str], None] = silent) -> ClipCache:
    """The configured cache; made or refreshed from `footage` first, if that is set. In one process of a run only."""
    if config.footage is None:
        return ClipCache.open(config.cache)
    return build_cache(
        config.footage, config.cache, short_side=config.short_side, workers=max(1, config.workers), progress=progress
    )


def to_tensors(arrays: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Stacked samples as the tensors of a batch."""
    batch = {name: torch.from_numpy(array) for name, array in arrays.items() if name not in ("frames", "beyond")}
    clips = _images(arrays["frames"])
    first, frames, last = clips.split([1, clips.shape[2] - 2, 1], dim=2)
    images = {"first": first.squeeze(2), "frames": frames, "last": last.squeeze(2)}
    if "beyond" in arrays:
        images["before"], images["after"] = _images(arrays["beyond"]).unbind(2)
    return {name: tensor.contiguous() for name, tensor in (images | batch).items()}


def _images(pictures: np.ndarray) -> Tensor:
    """uint8 [B, T, H, W, 3] -> float32 0..1 [B, 3, T, H, W]."""
    return torch.from_numpy(pictures).permute(0, 4, 1, 2, 3).to(torch.float32).div_(255)
