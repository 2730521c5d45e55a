"""Long jobs side by side in processes of their own, with a common count of what is done."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from threading import Thread
from typing import Any, TypeVar

import cv2

from vidcm.core.errors import UserError
from vidcm.data.workers import end_with_parent

Job, Result = TypeVar("Job"), TypeVar("Result")
Work = Callable[[Job, Callable[[], None]], Result]
LOOK_EVERY_S = 0.2


class Stopped(BaseException):
    """The main process wants no more results."""


def run_jobs(
    work: Work[Job, Result], jobs: Sequence[Job], workers: int, ticked: Callable[[int], None]
) -> Iterator[Result]:
    """work(job, tick) of every job, as they end. ticked(n): called now and then with how often `tick` was called.

    workers: processes; 1 works in this one, job after job.
    """
    if workers <= 1 or len(jobs) <= 1:
        yield from _one_by_one(work, jobs, ticked)
        return
    context = multiprocessing.get_context("spawn")
    count, stop = context.Value("q", 0), context.Event()
    crew = min(workers, len(jobs))
    pool = ProcessPoolExecutor(crew, mp_context=context, initializer=_start_worker, initargs=(work, count, stop))
    try:
        waiting = {pool.submit(_work, job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, LOOK_EVERY_S, FIRST_COMPLETED)
            ticked(count.value)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise UserError(
            f"one of {crew} worker processes ended, as happens when memory runs out: free some, or take fewer "
            "(--workers 1), and run again; what is done is kept"
        ) from error
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _one_by_one(work: Work[Job, Result], jobs: Sequence[Job], ticked: Callable[[int], None]) -> Iterator[Result]:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        ticked(count)

    for job in jobs:
        yield work(job, tick)


_here: tuple[Any, Any, Any] = (None, None, None)  # in a worker process: the work, the count, whether to stop


def _start_worker(work: Any, count: Any, stop: Any) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is interrupted and stops the workers
    Thread(target=end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _here = work, count, stop


def _work(job: Any) -> Any:
    work, count, stop = _here

    def tick() -> None:
        with count.get_lock():
            count.value += 1
        if stop.is_set():
            raise Stopped

    return work(job, tick)
