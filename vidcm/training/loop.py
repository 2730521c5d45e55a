"""The one training loop: VAE training, diffusion pretraining, consistency tuning and decoder tuning are stages of it.

A step is a pure function of the weights before it and of (seed, step, rank): batches are looked up by step, and every
source of randomness is seeded anew for each step. So a resumed run equals an uninterrupted one, bit for bit on a CPU.
"""

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from torch import Tensor, nn

from vidcm.core.errors import UserError
from vidcm.core.processes import launched
from vidcm.training import checkpoint, sharded
from vidcm.training.config import RunConfig, record_run, resolved
from vidcm.training.disk import room_in
from vidcm.training.divided import check_divided, frames_divided, place_among
from vidcm.training.draws import SampleDraws
from vidcm.training.metrics import Meter, MetricsFile, clear, clock, live, progress_line, say
from vidcm.training.plan import held_bytes, memory_line, plan_line
from vidcm.training.signals import StopRequest
from vidcm.training.start import (
    alone_in,
    frozen_checksum,
    open_batches,
    open_family,
    others_answer,
    part_to_train,
    refuse_to_mix,
    same_batches,
    settle_teacher,
    start_average,
    start_processes,
    tell_changes,
)
from vidcm.training.step import StageLoss, keyed_seed, loss_function, to_device
from vidcm.training.trackers import tracking

SMOOTHING = 0.99  # of the smoothed loss
NAMED = 8  # clips of a bad batch


@dataclass(frozen=True)
class Seen:
    """What a watch saw. enough: the run may end; values: for the trackers."""

    enough: bool
    values: Mapping[str, float]


Watch = Callable[[int], bool | Seen]
COUNTERS = ("seconds", "bad_in_row", "bad_total", "smooth_loss", "samples_per_step")  # kept in checkpoints


class Interrupted(KeyboardInterrupt):
    """The run was asked to stop; it finished its step and saved a checkpoint, which `resume` continues from."""


def train(
    config: RunConfig, *, resume: bool = False, family: Any = None, batches: Any = None, watch: Watch | None = None
) -> Path:
    """Run one stage of training. Returns the model directory, OUT/model, which holds the averaged weights.

    resume: continue from the newest checkpoint in OUT that verifies. `family` and `batches` replace the config's.
    watch(step): called in the main process whenever OUT/model has been saved, with the steps done; true ends the run.
    A resumed run calls it again for the step that it continues from. It may answer with what it saw, for the trackers.
    Raises `Interrupted` after SIGINT or SIGTERM, with a checkpoint saved.
    """
    accelerator = start_processes(config)
    out = Path(config.out)
    refuse_to_mix(out, resume)
    found = checkpoint.newest(out / "checkpoints", say) if resume else None
    _, world = place_among(config, accelerator.process_index, accelerator.num_processes)
    asked, config = config, same_batches(config, found, world)
    family = family if family is not None else open_family(config)
    check_divided(config, family)
    settle_teacher(config, family)
    batches = batches if batches is not None else open_batches(config, family, accelerator)
    run = Run(config, accelerator, family, batches, watch)
    with ExitStack() as stack:
        stack.enter_context(room_in(out, "go on with --resume from the last checkpoint, which is whole"))
        stack.enter_context(others_answer(config))
        if accelerator.is_main_process:
            stack.enter_context(alone_in(out))
            refuse_to_mix(out, resume)
        accelerator.wait_for_everyone()
        if resume:
            run.restore(found)
        if accelerator.is_main_process:
            if resume:
                tell_changes(asked, out)
            record_run(asked, out, step=run.step, processes=accelerator.num_processes, device=str(accelerator.device))
            run.metrics = stack.enter_context(closing(MetricsFile(out / "metrics.jsonl", run.step)))
            stack.enter_context(tracking(accelerator, config.track, out, resolved(asked)))
        say(plan_line(config, accelerator.num_processes, accelerator.device))
        say(memory_line(held_bytes(run), accelerator.device))
        stack.enter_context(frames_divided(config, *run.networks()))
        stack.callback(clear)
        request = stack.enter_context(StopRequest())
        run.to_the_end(request, stack.enter_context(closing(run.open_stream())))
    return out / "model"


@dataclass(frozen=True)
class Outcome:
    """What the processes agree on after the backward pass of a step."""

    loss: float  # mean over processes
    bad: bool  # some loss or gradient was not finite
    stop: bool  # some process was asked to stop
    out_of_time: bool


@dataclass
class Run:
    """The state of a run between two steps, and how it advances."""

    config: RunConfig
    accelerator: Accelerator
    family: Any
    batches: Any  # of this process: iterate(start) yields one per backward pass, each a pure function of its number
    watch: Watch | None = None
    step: int = 0  # steps done
    seconds: float = 0.0  # spent training, over all resumptions
    bad_in_row: int = 0
    bad_total: int = 0
    smooth_loss: float | None = None
    samples_per_step: int = 0  # over all processes; known after the first step
    saved_at: int = -1
    metrics: MetricsFile | None = None  # in the main process
    meter: Meter = field(default_factory=Meter)
    latest: dict[str, float] = field(default_factory=dict)  # what the meter read last

    def __post_init__(self) -> None:
        config, o = self.config, self.config.optimizer
        self.place = place_among(config, self.accelerator.process_index, self.accelerator.num_processes)
        self.trained = part_to_train(config.stage, self.family, self.accelerator.device)
        compute, self.aides = loss_function(config, self.family, self.trained)
        self.frozen = frozen_checksum(self.family) if config.init else ""
        self.is_sharded = config.shard and self.accelerator.num_processes > 1
        if self.is_sharded:
            self.outline = sharded.outline(self.trained)
            for module in (self.trained, *self.aides.children()):
                sharded.shard(module, self.accelerator.device)
        self.loss: nn.Module = StageLoss(self.trained, self.aides, compute, bf16=config.precision == "bf16")
        if self.accelerator.num_processes > 1 and not self.is_sharded:
            self.loss = self.accelerator.prepare_model(self.loss)
        moved = (*self.trained.named_parameters(), *self.aides.trainable())
        self.names, self.parameters = zip(*moved, strict=True)
        # not fused: that kernel is silently wrong where a gradient and its weight differ in memory format (torch 2.13)
        self.optimizer = torch.optim.AdamW(self.parameters, o.lr, o.betas, o.eps, o.weight_decay)
        self.average = start_average(config.ema, self.trained)

    def networks(self) -> list[nn.Module | None]:
        """Those that see clips: the student, and what goes before it."""
        return [self.trained, getattr(self.aides, "target", None), getattr(self.family, "teacher", None)]

    def open_stream(self) -> Generator[dict[str, Any], None, None]:
        """Batches from the present step on."""
        return self.batches.iterate(self.step * self.config.grad_accumulation)

    def to_the_end(self, request: StopRequest, stream: Iterator[dict[str, Any]]) -> None:
        """Step until the steps are done or the minutes over; save on the way and at the end."""
        config = self.config
        enough = self.step > 0 and self.look_again()
        begun = time.monotonic() - self.seconds
        marked, marked_step = time.monotonic(), self.step
        while self.step < config.steps and not enough:
            outcome = self.advance(stream, request)
            now = time.monotonic()
            self.seconds = now - begun
            steps_s = (self.step - marked_step) / max(now - marked, 1e-9)
            if self.step % config.log_every == 0 or self.step == config.steps:
                self.report(steps_s)
                marked, marked_step = now, self.step
            elif self.metrics is not None and sys.stderr.isatty():
                live(self.progress({**self.record(steps_s), **self.latest}, steps_s))
            if outcome.stop or self.step % config.save_every == 0:
                self.save()
                enough = not outcome.stop and self.ask()
                pause = time.monotonic() - now  # saving and looking at it is no training
                begun, marked = begun + pause, marked + pause
            if outcome.stop:
                say(f"stopped after step {self.step}, with a checkpoint saved: --resume continues")
                raise Interrupted
            if outcome.out_of_time:
                break
        if self.saved_at != self.step:
            self.save()
            self.ask()

    def look_again(self) -> bool:
        """A resumed run may have ended between its checkpoint and what follows: the model, and the watch's answer."""
        if self.accelerator.is_main_process or self.is_sharded:
            self.save_model()
        return self.ask()

    def ask(self) -> bool:
        """Whether the watch of the first process has seen enough, the same in all; they wait while it looks."""
        found = self.watch(self.step) if self.watch is not None and self.accelerator.is_main_process else False
        if isinstance(found, Seen):
            self.track(found.values)
            found = found.enough
        return launched().told(found)

    def advance(self, stream: Iterator[dict[str, Any]], request: StopRequest) -> Outcome:
        """One optimizer step over `grad_accumulation` batches."""
        total, samples, logs = 0.0, 0, Meter()
        buffers = [(buffer, buffer.clone()) for buffer in self.trained.buffers()]  # running statistics
        for part in range(self.config.grad_accumulation):
            loss, named = self.backward(next(stream), part)
            total += loss.detach().mean().item() / self.config.grad_accumulation
            samples += loss.numel() * self.place[1]
            logs.add(named)
        norm = sharded.number(torch.nn.utils.clip_grad_norm_(self.parameters, self.config.grad_clip or float("inf")))
        outcome = self.agree(total, norm, request.made)
        if outcome.bad:
            for buffer, before in buffers:
                buffer.copy_(before)
            self.skip(total, norm, logs.read())
        else:
            self.apply(outcome.loss, self.config.curriculum_stage(self.step * samples))
            self.meter.add({"loss": outcome.loss, "grad_norm": norm, **logs.read()})
        self.optimizer.zero_grad(set_to_none=True)
        self.samples_per_step = samples
        self.step += 1
        return outcome

    def backward(self, batch: dict[str, Any], part: int) -> tuple[Tensor, dict[str, float]]:
        """Loss [B] of one batch, after adding its mean's gradient to the weights'."""
        accelerator, config, parts = self.accelerator, self.config, self.config.grad_accumulation
        rank, world = self.place
        torch.manual_seed(keyed_seed(config.seed, self.step, part, accelerator.process_index))  # for dropout
        generator = torch.Generator(accelerator.device).manual_seed(keyed_seed(config.seed, self.step))
        batch = to_device(batch, accelerator.device)
        size = next(len(value) for value in batch.values() if isinstance(value, Tensor))
        seen = self.step * parts * size * world  # batches have one size: a function of the step
        first = seen + (part * world + rank) * size
        draws = SampleDraws(generator, size, lambda sample, draw: keyed_seed(config.seed, first + sample, draw))
        with nullcontext() if part == parts - 1 else accelerator.no_sync(self.loss):
            with draws:
                loss, logs = self.loss(batch, generator, samples_seen=seen, stage=config.curriculum_stage(seen))
            (loss.mean() / parts).backward()
        return loss, logs

    def agree(self, loss: float, norm: float, asked_to_stop: bool) -> Outcome:
        """All processes take the same turn: one sum over four numbers."""
        world, minutes = self.accelerator.num_processes, self.config.minutes
        finite = abs(loss) < float("inf") and norm < float("inf")
        late = minutes is not None and self.accelerator.is_main_process and self.seconds >= 60 * minutes
        flags = torch.tensor([loss if finite else 0.0, not finite, asked_to_stop, late], dtype=torch.float32)
        if world > 1:
            flags = self.accelerator.reduce(flags.to(self.accelerator.device), "sum").cpu()
        total, bad, stop, out_of_time = flags.tolist()
        return Outcome(total / world, bad > 0, stop > 0, out_of_time > 0)

    def apply(self, loss: float, stage: int) -> None:
        """Move the weights and their averages, at this stage of the curriculum."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.optimizer.lr_at(self.step, self.config.steps)
        self.optimizer.step()
        self.average.update(self.trained.named_parameters())
        self.aides.follow(self.trained, stage)
        self.bad_in_row = 0
        self.smooth_loss = loss if self.smooth_loss is None else SMOOTHING * self.smooth_loss + (1 - SMOOTHING) * loss

    def skip(self, loss: float, norm: float, logs: dict[str, float]) -> None:
        """Leave the weights as they are; give up when it goes on."""
        self.bad_in_row, self.bad_total = self.bad_in_row + 1, self.bad_total + 1
        place = f"seed {self.config.seed}, step {self.step}, rank {self.accelerator.process_index}"
        key = f"({place}{blame(logs)}{self.clips()})"
        is_mine = not (abs(loss) < float("inf") and norm < float("inf"))
        say(f"step {self.step} skipped: loss {loss}, gradient norm {norm}, batch {key}", everywhere=is_mine)
        if self.bad_in_row >= self.config.max_bad_steps:
            raise UserError(
                f"{self.bad_in_row} steps in a row had a loss or gradient that is not finite, the last with batch {key}"
                ": lower optimizer.lr, try precision=fp32, or look at that batch"
            )

    def clips(self) -> str:
        """The clips that the present step's batches are of, where these know; of many the first ones."""
        known = getattr(self.batches, "clips_of", None)
        parts = self.config.grad_accumulation
        numbers = range(self.step * parts, (self.step + 1) * parts)
        names = sorted({name for number in numbers for name in known(number)}) if known else []
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f", of {', '.join(names[:NAMED])}{more}" if names else ""

    def report(self, steps_s: float) -> None:
        """A line of metrics in the file and a line of progress on the terminal."""
        if self.metrics is None:
            return
        self.latest = self.meter.read()  # without loss and grad_norm when every step since the last line was skipped
        record = {**self.record(steps_s), **self.latest}
        self.metrics.write(record)
        self.track(record)
        live(self.progress(record, steps_s))

    def track(self, values: Mapping[str, Any]) -> None:
        """Numbers for the trackers, if there are any."""
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float) and name != "step"}
        if self.accelerator.trackers:
            self.accelerator.log(numbers, step=self.step)

    def record(self, steps_s: float) -> dict[str, Any]:
        """Where the run stands."""
        return {
            "step": self.step,
            "samples": self.step * self.samples_per_step,
            "seconds": self.seconds,
            "samples_s": steps_s * self.samples_per_step,
            "lr": self.config.optimizer.lr_at(self.step - 1, self.config.steps),
            "bad_steps": self.bad_total,
            "smooth_loss": self.smooth_loss,
        }

    def progress(self, record: dict[str, Any], steps_s: float) -> str:
        config = self.config
        limit_s = float("inf") if config.minutes is None else 60 * config.minutes - self.seconds
        return progress_line(record, config.steps, max(0.0, min((config.steps - self.step) / steps_s, limit_s)))

    def save(self) -> None:
        """A checkpoint, and beside it OUT/model with the averaged weights; nothing to do twice for one step."""
        if self.saved_at == self.step:
            return
        self.saved_at = self.step
        out, is_first = Path(self.config.out), self.accelerator.is_main_process
        if is_first or self.is_sharded:
            together: dict[str, Any] = {"write": sharded.write_shards, "wait": self.accelerator.wait_for_everyone}
            state = {name: getattr(self, name) for name in (*COUNTERS, "frozen")} | {"ema_step": self.average.step}
            moments = checkpoint.optimizer_tensors(self.optimizer, self.names)
            how = {"keep": self.config.keep, "is_first": is_first, **(together if self.is_sharded else {})}
            checkpoint.save(out / "checkpoints", self.step, self.groups(moments), state, **how)
            self.save_model()
        self.accelerator.wait_for_everyone()

    def groups(self, moments: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """All tensors of the state, by what a checkpoint calls them."""
        params = {name: tensor.clone() for name, tensor in self.trained.state_dict().items()}
        found = {"params": params, "ema": self.average.averages, "optimizer": moments}
        aides = self.aides.state_dict()
        return found | ({"aides": aides} if aides else {})

    def save_model(self) -> None:
        """OUT/model, with the averaged weights. Of shards, every process has to call this."""
        if self.is_sharded:
            self.save_gathered()
            return
        last = {name: tensor.clone() for name, tensor in self.trained.state_dict().items()}
        self.average.copy_to(self.trained.named_parameters())
        try:
            self.family.save(Path(self.config.out) / "model")
        finally:
            self.trained.load_state_dict(last)

    def save_gathered(self) -> None:
        """The same of shards, gathered in the first process."""
        is_first = self.accelerator.is_main_process
        averaged = self.trained.state_dict() | self.average.averages
        whole = sharded.gathered(averaged, keep=is_first)
        if is_first:
            self.outline.load_state_dict(whole, assign=True)
            with sharded.stood_in(self.family, self.trained, self.outline):
                self.family.save(Path(self.config.out) / "model")
            self.outline.to("meta")

    def restore(self, found: checkpoint.Checkpoint | None) -> None:
        """Continue from a checkpoint; without one, from the start."""
        if found is None:
            say("no checkpoint to resume from: starting at step 0")
            return
        if found.state.get("frozen", self.frozen) != self.frozen:
            raise UserError(f"init={self.config.init} has changed since {found.path}: restore it, or start another run")
        try:
            if self.is_sharded or sharded.is_sharded(found.path):
                self.refill(found)
            else:
                self.trained.load_state_dict(found.tensors("params"))
                self.average.load_state_dict({"step": found.state["ema_step"], "averages": found.tensors("ema")})
                checkpoint.load_optimizer_tensors(self.optimizer, self.names, found.tensors("optimizer"))
                if self.aides.state_dict():
                    self.aides.load_state_dict(found.tensors("aides"))
        except (RuntimeError, KeyError, FileNotFoundError, SafetensorError) as error:  # other names or shapes
            raise UserError(f"{found.path} is of another model than the config's: {str(error)[:200]}") from error
        self.step = self.saved_at = found.step
        for name in found.state.keys() & set(COUNTERS):
            setattr(self, name, found.state[name])
        say(f"resuming after step {self.step}, {clock(self.seconds)} of training")

    def refill(self, found: checkpoint.Checkpoint) -> None:
        """The state of a checkpoint that was written in shards, or is to be read in such."""
        named = dict(zip(self.names, self.parameters, strict=True))
        moments = sharded.empty_moments(sharded.names_of(found.path, "optimizer"), named)
        groups = self.groups(moments)
        sharded.fill(found.path, groups)
        self.trained.load_state_dict(groups["params"])
        self.average.step = found.state["ema_step"]
        checkpoint.load_optimizer_tensors(self.optimizer, self.names, moments)


def blame(logs: dict[str, float]) -> str:
    """Which samples of a batch had a loss that is not finite, where it was not the gradient alone."""
    if "bad_sample" not in logs:
        return ""
    angle = f" at angle {logs['bad_angle']:.4f}" if "bad_angle" in logs else ""
    return f", {logs['bad_samples']:.0f} of its samples, the first number {logs['bad_sample']:.0f}{angle}"
