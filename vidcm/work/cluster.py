"""The same list of jobs on a Ray cluster, or on one started on this machine: one model for each accelerator.

Ray Data hands each job to an actor that is free, starts actors anew that died, and gives their jobs to others. What it
does not know, which of these jobs were finished all the same, the records tell. The folder must be one that all nodes
see, and so must be what the jobs read.
"""

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from vidcm.core.errors import UserError
from vidcm.core.hushed import stderr_shut
from vidcm.work.batch import NO_ROOM, Batch, J, R, Tell, attempt, is_made, judge, read, save, sum_up, told_how_to_go_on

TRIES = 3  # how often a job may take its worker along before it counts as failed
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere unless somebody asks for it
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Pool:
    """How many workers, and what each asks Ray for."""

    workers: int
    num_cpus: int
    num_gpus: int


def make_all_on_ray(
    batch: Batch[J, R],
    jobs: Sequence[J],
    *,
    workers: int | None = None,
    device: str = "auto",
    tell: Tell[R, J] = lambda record, job, done, count: None,
) -> list[R]:
    """Every job that is not finished, on the workers of a cluster. Returns the records of all; see `batch.make_all`.

    workers: models at work at once; None is one for each GPU, without any one for each node.
    """
    batch.folder.mkdir(exist_ok=True)
    waiting: list[int] = []
    for number, job in enumerate(jobs):
        record = judge(batch, job)
        if record.status != "kept":
            save(batch, job, record)
        if record.status == "begun":
            waiting.append(number)
        else:
            tell(record, job, number + 1 - len(waiting), len(jobs))
    if waiting:
        with told_how_to_go_on(batch.folder), cluster() as there:
            pool = pool_of(there, workers, device, len(waiting))
            ended = spread(batch, jobs, waiting, pool)
            for behind, (number, record) in enumerate(ended, start=len(jobs) - len(waiting) + 1):
                tell(record, jobs[number], behind, len(jobs))
    return sum_up(batch, jobs)


def pool_of(there: dict[str, float], workers: int | None, device: str, jobs: int) -> Pool:
    """there: what the cluster has, CPU and GPU, and a `node:` entry for each node.

    Raises UserError where no GPU is, and one is asked for.
    """
    gpus, cpus = int(there.get("GPU", 0)), int(there.get("CPU", 1))
    if device == "cuda" and not gpus:
        raise UserError("device cuda: this Ray cluster has no GPU: leave --device out, or join nodes that have one")
    if gpus and device in ("auto", "cuda"):
        return Pool(min(workers or gpus, jobs), 1, 1)
    nodes = sum(name.startswith("node:") and name != "node:__internal_head__" for name in there)
    count = min(workers or max(nodes, 1), jobs)
    return Pool(count, max(1, cpus // count), 0)


def spread(batch: Batch[J, R], jobs: Sequence[J], waiting: Sequence[int], pool: Pool) -> Iterator[tuple[int, R]]:
    """The numbers and records of the waiting jobs, in the order in which they end. Closing it stops the workers."""
    from ray import data

    rows = [{"number": number, "job": pickle.dumps(jobs[number])} for number in waiting]
    actors = data.ActorPoolStrategy(size=pool.workers, max_tasks_in_flight_per_actor=1)
    made = data.from_items(rows, override_num_blocks=len(rows)).map(
        Worker, fn_constructor_args=(batch,), compute=actors, num_cpus=pool.num_cpus, num_gpus=pool.num_gpus
    )
    for row in made.iter_rows():
        if row["ending"]:
            raise UserError(row["ending"])
        yield row["number"], pickle.loads(row["record"])


class Worker:
    """An actor: it loads the model for its first job."""

    def __init__(self, batch: Batch[Any, Any]) -> None:
        self.batch, self.is_loaded = batch, False

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """ending: why the whole run has to end; else empty."""
        told = {"number": row["number"], "record": b"", "ending": ""}
        try:
            told["record"] = pickle.dumps(self.take(pickle.loads(row["job"])))
        except UserError as error:
            told["ending"] = str(error)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            told["ending"] = f"{self.batch.folder}: {error.strerror}: make room, then start the same command again"
        return told

    def take(self, job: Any) -> Any:
        """What became of a job, which an actor that died may have had before."""
        record = read(self.batch, job)
        if is_made(record, self.batch.target(job)):
            return record
        if record.tries >= TRIES:
            record.status, record.error = "failed", f"{TRIES} workers ended while they made it: {self.batch.smaller}"
        else:
            if not self.is_loaded:
                self.batch.load()
                self.is_loaded = True
            record.tries += 1
            attempt(self.batch, job, record)
        save(self.batch, job, record)
        return record


@contextmanager
def cluster() -> Iterator[dict[str, float]]:
    """What the cluster has that this machine belongs to (RAY_ADDRESS names another); one is started where none is."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            with stderr_shut():  # on which its other half says that it says less
                ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises plain ones where a node does not start in time
            reason = (str(error).splitlines() or [""])[0]
            raise UserError(f"no Ray cluster answers, and none can be started: {reason} (RAY_ADDRESS)") from error
    quieten()
    try:
        yield ray.cluster_resources()
    finally:
        if is_ours:
            with suppress(Exception):
                ray.shutdown()


def quieten() -> None:
    """Ray Data tells of itself; we tell of each job."""
    from ray import data

    data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
