"""The clips of a split, and in which order training goes through their frames."""

import sys
from functools import lru_cache

import numpy as np

from vidcm.core.errors import UserError
from vidcm.data.augment import Window, cut
from vidcm.data.clips import Clip, ClipCache
from vidcm.data.config import DataConfig
from vidcm.data.whole import span


def keyed_rng(*key: int) -> np.random.Generator:
    """A generator that depends on the key alone."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


class ClipPool:
    """The clips of one split as one long line of frames; every epoch goes through it once, in a new order."""

    def __init__(self, cache: ClipCache, split: str, config: DataConfig) -> None:
        need = max(config.between) + 2
        rate = config.rate if config.whole else None
        self.cache, self.config = cache, config
        self.clips = tuple(clip for clip in cache.split(split) if clip.length >= span(clip, need, rate))
        if not self.clips:
            pace = "" if rate is None else f" at {rate:g} a second"
            raise UserError(f"the clip cache {cache.folder} has no {split} clip of {need} frames or more{pace}")
        self.captions = {caption: place for place, caption in enumerate(cache.captions)}
        self._ends = np.cumsum([clip.length for clip in self.clips])
        self.samples_per_epoch = int(self._ends[-1]) // 2
        self._order = lru_cache(maxsize=2)(self._shuffled)
        self._frames = lru_cache(maxsize=None)(self._open)

    def _shuffled(self, epoch: int) -> np.ndarray:
        return keyed_rng(self.config.seed, 1, epoch).permutation(int(self._ends[-1]))

    def frames(self, clip: Clip) -> np.ndarray:
        frames = self._frames(clip)
        assert frames is not None, "anchors are of clips that can be read"
        return frames

    def _open(self, clip: Clip) -> np.ndarray | None:
        """None, and a notice, for frames that are not there any more as they were."""
        try:
            frames = self.cache.frames(clip)
            if frames.shape == clip.shape:
                return frames
            why = f"frames {frames.shape}, not {clip.shape}"
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())
        print(f"{clip.file} cannot be read, other clips are taken in its place: {why}", file=sys.stderr, flush=True)
        return None

    def anchors(self, number: int) -> list[tuple[Clip, int]]:
        """The two frames (clip, index) that sample `number` may start from; no other sample of its epoch has them.

        In the place of a clip that cannot be read come those after it in the epoch's order: the same in all processes,
        and no other batch changes."""
        epoch, place = divmod(number, self.samples_per_epoch)
        return [self._readable(self._order(epoch), at) for at in (2 * place, 2 * place + 1)]

    def elsewhere(self, number: int) -> list[tuple[Clip, int]] | None:
        """Anchors as for a sample, of other sources than those of sample `number`: the next ones in the epoch's order
        from half an epoch away on, for what lies beyond a cut in it. None where there is no other source."""
        epoch, place = divmod(number, self.samples_per_epoch)
        sources = {clip.source for clip, _ in self.anchors(number)}
        far = place + self.samples_per_epoch // 2
        for step in range(self.samples_per_epoch):
            anchors = self.anchors(epoch * self.samples_per_epoch + (far + step) % self.samples_per_epoch)
            if not any(clip.source in sources for clip, _ in anchors):
                return anchors
        return None

    def _readable(self, order: np.ndarray, place: int) -> tuple[Clip, int]:
        for step in range(len(order)):
            clip, index = self.locate(int(order[(place + step) % len(order)]))
            if self._frames(clip) is not None:
                return clip, index
        raise UserError(f"none of the {len(self.clips)} clips in {self.cache.folder} can be read: is its disk there?")

    def locate(self, frame: int) -> tuple[Clip, int]:
        which = int(np.searchsorted(self._ends, frame, side="right"))
        return self.clips[which], frame - int(self._ends[which]) + self.clips[which].length

    def texture(self, rng: np.random.Generator, height: int, width: int) -> np.ndarray:
        """A piece of any frame, uint8 RGB [height, width, 3]."""
        total = int(self._ends[-1])
        clip, index = self._readable(np.arange(total), int(rng.integers(total)))
        window = Window.draw(rng, clip.shape[1:3], (height, width), scale=1.0)
        return cut(self.frames(clip)[index], window, (height, width))
