"""Several processes on one job, or one list of jobs, as torchrun and accelerate start them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

from vidcm.core.errors import UserError

T = TypeVar("T")
PATIENCE = timedelta(days=30)  # processes wait for the slowest: their shares may differ by hours


@dataclass(frozen=True)
class Processes:
    """rank: of this one, of `count`; local_rank: which accelerator of the machine is its own."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, jobs: Sequence[T]) -> list[T]:
        """Every `count`-th, so that long jobs that stand together are spread."""
        return list(jobs[self.rank :: self.count])

    def wait(self) -> None:
        """Until all are here. A process that ended earlier with an error would have its launcher end the others."""
        if self.count == 1:
            return
        import torch.distributed as distributed

        distributed.barrier(patient_group())

    def told(self, value: T | None = None) -> T:
        """What the first process says, any object that can be pickled, in all of them; however long it takes it."""
        if self.count == 1:
            return value  # type: ignore[return-value]
        import torch.distributed as distributed

        said = [value]
        distributed.broadcast_object_list(said, src=0, group=patient_group())
        return said[0]  # type: ignore[return-value]


@cache
def patient_group() -> Any:
    """All processes, through the CPU, without a time limit: where one of them works and the others wait for it.

    To be called by all. Where none is connected yet, they are."""
    import torch.distributed as distributed

    if not distributed.is_initialized():
        distributed.init_process_group("gloo", timeout=PATIENCE)
        return distributed.group.WORLD
    return distributed.new_group(backend="gloo", timeout=PATIENCE)


ALONE = Processes()


def launched() -> Processes:
    """What the launcher says in the environment; alone without one."""
    try:
        rank, count, local = (int(os.environ.get(name, default)) for name, default in ENVIRONMENT.items())
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE and LOCAL_RANK must be numbers: start with torchrun ({error})") from error
    if not 0 <= rank < count:
        raise UserError(f"RANK {rank} of WORLD_SIZE {count} cannot be: start with torchrun")
    return Processes(rank, count, local)


ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
