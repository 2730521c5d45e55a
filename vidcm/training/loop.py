"""The one training loop: VAE training, diffusion pretraining, consistency tuning and decoder tuning are stages of it.

A step is a pure function of the weights before it and of (seed, step, rank): batches are looked up by step, and every
source of randomness is seeded anew for each step. So a resumed run equals an uninterrupted one, bit for bit on a CPU.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidcm.core.processes import launched
from vidcm.core.resuming import Resume
from vidcm.training import saving
from vidcm.training.advance import advance
from vidcm.training.config import RunConfig, record_run, resolved
from vidcm.training.disk import room_in
from vidcm.training.divided import check_divided, frames_divided, place_among
from vidcm.training.metrics import MetricsFile, clear, say
from vidcm.training.plan import held_bytes, memory_line, plan_line
from vidcm.training.signals import StopRequest
from vidcm.training.sources import open_batches
from vidcm.training.start import (
    alone_in,
    check_begun,
    open_family,
    others_answer,
    same_batches,
    settle_teacher,
    start_processes,
    tell_changes,
    to_go_on_from,
)
from vidcm.training.state import State
from vidcm.training.telling import Teller
from vidcm.training.trackers import tracking


@dataclass(frozen=True)
class Seen:
    """What a watch saw. enough: the run may end; values: for the trackers."""

    enough: bool
    values: Mapping[str, float]


Watch = Callable[[int], bool | Seen]


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop; it finished its step and saved a checkpoint, which `resume` continues from."""


def train(
    config: RunConfig,
    *,
    resume: Resume = False,
    family: Any = None,
    batches: Any = None,
    watch: Watch | None = None,
    is_told: bool = True,
) -> Path:
    """Run one stage of training. Returns the model directory, OUT/model, which holds the averaged weights.

    resume: continue from the newest checkpoint in OUT that verifies; "auto": if there is one. `family` and `batches`
    replace the config's. watch(step): called in the main process whenever OUT/model has been saved on schedule or at
    the end, with the steps done; true ends the run. A resumed run calls it again for the step that it continues from,
    if it is one of these. It may answer with what it saw, for the trackers. is_told: whether its plan and its progress
    are; a trial's are not. Raises `Interrupted` after SIGINT or SIGTERM, with a checkpoint saved.
    """
    out = Path(config.out)
    going = check_begun(out, resume)
    accelerator = start_processes(config)
    found = to_go_on_from(out, resume) if going else None
    _, world = place_among(config, accelerator.process_index, accelerator.num_processes)
    asked, config = config, same_batches(config, found, world)
    family = family if family is not None else open_family(config)
    check_divided(config, family)
    settle_teacher(config, family)
    batches = batches if batches is not None else open_batches(config, family, accelerator)
    state = State(config, accelerator, family, batches)
    teller = Teller(state, is_told)
    with ExitStack() as stack:
        stack.enter_context(room_in(out, "go on with --resume from the last checkpoint, which is whole"))
        stack.enter_context(others_answer(config))
        if accelerator.is_main_process:
            stack.enter_context(alone_in(out))
            check_begun(out, resume)
        accelerator.wait_for_everyone()
        if going:
            saving.restore(state, found)
        if accelerator.is_main_process:
            if going:
                tell_changes(asked, out)
            record_run(asked, out, step=state.step, processes=accelerator.num_processes, device=str(accelerator.device))
            teller.file = stack.enter_context(closing(MetricsFile(out / "metrics.jsonl", state.step)))
            stack.enter_context(tracking(accelerator, config.track, out, resolved(asked)))
        if is_told:
            say(plan_line(config, accelerator.num_processes, accelerator.device))
            say(memory_line(held_bytes(state), accelerator.device))
        stack.enter_context(frames_divided(config, *state.networks()))
        stack.callback(clear)
        request = stack.enter_context(StopRequest())
        Run(state, teller, watch).to_the_end(request, stack.enter_context(closing(state.open_stream())))
    return out / "model"


@dataclass(frozen=True)
class Run:
    """How a run goes on: steps, and between them what is told, saved and watched."""

    state: State
    teller: Teller
    watch: Watch | None = None

    def to_the_end(self, request: StopRequest, stream: Iterator[dict[str, Any]]) -> None:
        """Step until the steps are done or the minutes over; save on the way and at the end."""
        state, config = self.state, self.state.config
        enough = state.step > 0 and self.look_again()
        begun = time.monotonic() - state.seconds
        marked, marked_step = time.monotonic(), state.step
        while state.step < config.steps and not enough:
            outcome = advance(state, stream, request)
            now = time.monotonic()
            state.seconds = now - begun
            steps_s = (state.step - marked_step) / max(now - marked, 1e-9)
            state.meter.add(outcome.measured)
            if state.step % config.log_every == 0 or state.step == config.steps:
                self.teller.report(steps_s)
                marked, marked_step = now, state.step
            else:
                self.teller.glance(steps_s)
            if outcome.stop or state.step % config.save_every == 0:
                saving.save(state)
                enough = not outcome.stop and self.ask()
                pause = time.monotonic() - now  # saving and looking at it is no training
                begun, marked = begun + pause, marked + pause
            if outcome.stop:
                say(f"stopped after step {state.step}, with a checkpoint saved: --resume continues")
                raise Interrupted
            if outcome.out_of_time:
                break
        if state.saved_at != state.step:
            saving.save(state)
            self.ask()

    def look_again(self) -> bool:
        """A resumed run may have ended between its checkpoint and what follows: the model, and the watch's answer. A
        checkpoint off the schedule, of a run that was asked to stop, has none."""
        state = self.state
        if state.accelerator.is_main_process or state.is_sharded:
            saving.save_model(state)
        scheduled = state.step % state.config.save_every == 0 or state.step >= state.config.steps
        return scheduled and self.ask()

    def ask(self) -> bool:
        """Whether the watch of the first process has seen enough, the same in all; they wait while it looks."""
        is_first = self.state.accelerator.is_main_process
        found = self.watch(self.state.step) if self.watch is not None and is_first else False
        if isinstance(found, Seen):
            self.teller.track(found.values)
            found = found.enough
        return launched().told(found)
