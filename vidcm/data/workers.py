"""Batches as numpy arrays, made in this process or ahead of need in others, which load no torch."""

import itertools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Thread

import cv2
import numpy as np

from vidcm.core.errors import UserError
from vidcm.data.clips import ClipCache
from vidcm.data.config import DataConfig, distribution
from vidcm.data.pool import ClipPool, keyed_rng
from vidcm.data.samples import draw_sample

PATIENCE_S = 1800.0  # for a batch; a disk that has gone away would be waited for without end


def frames_between(config: DataConfig, step: int) -> int:
    """How many in-between frames the batches of a step have: the same in all of them, on every rank."""
    counts, weights = distribution(config.between)
    return int(keyed_rng(config.seed, 2, step).choice(counts, p=weights))


class SampleSource:
    """Batches of samples as numpy arrays; what a worker process holds. parts: how many batches make a step."""

    def __init__(self, config: DataConfig, cache: ClipCache, split: str = "train", parts: int = 1) -> None:
        self.config, self.pool, self.parts = config, ClipPool(cache, split, config), parts

    @classmethod
    def open(cls, config: DataConfig, folder: Path, split: str, parts: int) -> "SampleSource":
        return cls(config, ClipCache.open(folder), split, parts)

    def draw(self, number: int, rank: int = 0, world: int = 1) -> dict[str, np.ndarray]:
        """The fields of Sample, or of WholeClip, of batch `number`, stacked along a new first axis of batch_size."""
        size = self.config.batch_size
        between = frames_between(self.config, number // self.parts)
        numbers = range((number * world + rank) * size, (number * world + rank + 1) * size)
        samples = [draw_sample(self.config, self.pool, each, between) for each in numbers]
        names = type(samples[0]).__dataclass_fields__
        return {name: np.stack([getattr(sample, name) for sample in samples]) for name in names}


def draw_ahead(
    config: DataConfig, folder: Path, split: str, start: int, rank: int, world: int, workers: int, parts: int = 1
) -> Iterator[dict[str, np.ndarray]]:
    """What SampleSource.draw gives for batches start, start + 1, ... without end, from worker processes, in order."""
    context = multiprocessing.get_context("spawn")
    opened = (config, folder, split, parts)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_open_worker, initargs=opened)
    try:
        numbers = itertools.count(start)
        waiting = deque(pool.submit(_draw, next(numbers), rank, world) for _ in range(2 * workers + 2))
        while True:
            arrays = waiting.popleft().result(PATIENCE_S)
            waiting.append(pool.submit(_draw, next(numbers), rank, world))
            yield arrays
    except TimeoutError as error:
        raise UserError(
            f"no batch in {PATIENCE_S / 60:g} minutes: is the disk of {folder} still there? Then go on with --resume"
        ) from error
    except BrokenProcessPool as error:
        raise UserError(
            f"one of {workers} data workers ended, as happens when memory runs out: free some, or take fewer workers "
            "(data.workers=1; 0 makes batches in the training process), and go on with --resume"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_source: SampleSource | None = None  # in a worker process


def _open_worker(config: DataConfig, folder: Path, split: str, parts: int) -> None:
    global _source
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is interrupted and ends the workers
    Thread(target=end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _source = SampleSource.open(config, folder, split, parts)


def end_with_parent() -> None:
    """A main process that was killed ends nobody, and its workers would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(number: int, rank: int, world: int) -> dict[str, np.ndarray]:
    assert _source is not None
    return _source.draw(number, rank, world)
