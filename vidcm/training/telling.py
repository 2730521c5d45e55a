"""What is told of a run as it goes: a line of metrics in a file, one of progress on the terminal, the trackers."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vidcm.training.metrics import MetricsFile, live, progress_line
from vidcm.training.state import State


@dataclass
class Teller:
    """steps_s: steps a second, of late. is_told: whether there is a line of progress."""

    state: State
    is_told: bool = True
    file: MetricsFile | None = None  # in the main process
    latest: dict[str, float] = field(default_factory=dict)  # what the meter read last

    def report(self, steps_s: float) -> None:
        """A line of metrics in the file and a line of progress on the terminal."""
        if self.file is None:
            return
        self.latest = self.state.meter.read()  # no loss and grad_norm where every step since then was skipped
        record = {**self.record(steps_s), **self.latest}
        self.file.write(record)
        self.track(record)
        if self.is_told:
            live(self.progress(record, steps_s))

    def glance(self, steps_s: float) -> None:
        """The line on a terminal between two of the file."""
        if self.file is not None and self.is_told and sys.stderr.isatty():
            live(self.progress({**self.record(steps_s), **self.latest}, steps_s))

    def track(self, values: Mapping[str, Any]) -> None:
        """Numbers for the trackers, if there are any."""
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and name != "step"}
        if self.state.accelerator.trackers:
            self.state.accelerator.log(numbers, step=self.state.step)

    def record(self, steps_s: float) -> dict[str, Any]:
        """Where the run stands."""
        state = self.state
        return {
            "step": state.step,
            "samples": state.step * state.samples_per_step,
            "seconds": state.seconds,
            "samples_s": steps_s * state.samples_per_step,
            "lr": state.config.optimizer.lr_at(state.step - 1, state.config.steps),
            "bad_steps": state.bad_total,
            "smooth_loss": state.smooth_loss,
            **({} if state.work is None else state.work.told(steps_s * state.config.grad_accumulation)),
        }

    def progress(self, record: dict[str, Any], steps_s: float) -> str:
        state, config = self.state, self.state.config
        limit_s = float("inf") if config.minutes is None else 60 * config.minutes - state.seconds
        return progress_line(record, config.steps, max(0.0, min((config.steps - state.step) / steps_s, limit_s)))
