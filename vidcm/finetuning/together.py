"""Several processes on one run: the first one leads, judges and writes; the others train when it says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcm.core.processes import Processes, launched
from vidcm.core.resuming import Resume
from vidcm.training.config import RunConfig
from vidcm.training.loop import Watch, train
from vidcm.training.start import start_processes


@dataclass(frozen=True)
class Order:
    """What the first process tells the others: to train, or else that the run has ended, and how."""

    config: RunConfig | None = None
    resume: Resume = False
    result: Any = None


class Leader:
    """In the first process, or the only one."""

    def __init__(self, processes: Processes):
        self.processes = processes
        self._training = False

    def train(
        self, config: RunConfig, *, resume: Resume = False, watch: Watch | None = None, is_told: bool = True
    ) -> Path:
        """As `vidcm.training.loop.train`, in all processes."""
        self.processes.told(Order(config, resume))
        self._training = True
        model = train(config, resume=resume, watch=watch, is_told=is_told)
        self._training = False
        return model

    @contextmanager
    def leading(self) -> Iterator[None]:
        """The others are told when the block fails. A training that fails, they notice by themselves."""
        try:
            yield
        except BaseException:
            if not self._training:
                self.processes.told(Order())
            raise


def follow(processes: Processes) -> Any:
    """What the others do, until the run has ended. Returns its result; ends the process quietly where there is none."""
    while True:
        order: Order = processes.told()
        if order.config is None:
            if order.result is None:
                raise SystemExit(1)  # the first process says why
            return order.result
        train(order.config, resume=order.resume)


def join(device: str, lead: Callable[[Leader], Any]) -> Any:
    """lead(leader) in the first process, and its result in all."""
    processes = launched()
    if processes.count > 1:
        start_processes(RunConfig(device=device))
    if not processes.is_first:
        return follow(processes)
    leader = Leader(processes)
    with leader.leading():
        result = lead(leader)
    processes.told(Order(result=result))
    return result
