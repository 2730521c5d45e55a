"""One optimizer step: gradients of its batches, what the processes agree on, and the move, or why there is none."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.training import sharded
from vidcm.training.draws import SampleDraws
from vidcm.training.metrics import Meter, say
from vidcm.training.signals import StopRequest
from vidcm.training.state import State
from vidcm.training.step import keyed_seed, to_device

SMOOTHING = 0.99  # of the smoothed loss
NAMED = 8  # clips of a bad batch


@dataclass(frozen=True)
class Outcome:
    """What the processes agree on after the backward pass of a step."""

    loss: float  # mean over processes
    bad: bool  # some loss or gradient was not finite
    stop: bool  # some process was asked to stop
    out_of_time: bool
    measured: dict[str, float] = field(default_factory=dict)  # of a step that was taken


def advance(state: State, stream: Iterator[dict[str, Any]], request: StopRequest) -> Outcome:
    """One optimizer step over `grad_accumulation` batches."""
    total, samples, logs = 0.0, 0, Meter()
    buffers = [(buffer, buffer.clone()) for buffer in state.trained.buffers()]  # running statistics
    for part in range(state.config.grad_accumulation):
        loss, named = backward(state, next(stream), part)
        total += loss.detach().mean().item() / state.config.grad_accumulation
        samples += loss.numel() * state.place[1]
        logs.add(named)
    norm = sharded.number(torch.nn.utils.clip_grad_norm_(state.parameters, state.config.grad_clip or float("inf")))
    outcome = agree(state, total, norm, request.made)
    if outcome.bad:
        for buffer, before in buffers:
            buffer.copy_(before)
        skip(state, total, norm, logs.read())
    else:
        apply(state, outcome.loss, state.config.curriculum_stage(state.step * samples))
        outcome = replace(outcome, measured={"loss": outcome.loss, "grad_norm": norm, **logs.read()})
    state.optimizer.zero_grad(set_to_none=True)
    state.samples_per_step = samples
    state.step += 1
    return outcome


def backward(state: State, batch: dict[str, Any], part: int) -> tuple[Tensor, dict[str, float]]:
    """Loss [B] of one batch, after adding its mean's gradient to the weights'."""
    accelerator, config, parts = state.accelerator, state.config, state.config.grad_accumulation
    rank, world = state.place
    torch.manual_seed(keyed_seed(config.seed, state.step, part, accelerator.process_index))  # for dropout
    generator = torch.Generator(accelerator.device).manual_seed(keyed_seed(config.seed, state.step))
    batch = to_device(batch, accelerator.device)
    size = next(len(value) for value in batch.values() if isinstance(value, Tensor))
    seen = state.step * parts * size * world  # batches have one size: a function of the step
    first = seen + (part * world + rank) * size
    draws = SampleDraws(generator, size, lambda sample, draw: keyed_seed(config.seed, first + sample, draw))
    counted = nullcontext() if state.work is None else state.work.counted(batch)
    with counted, nullcontext() if part == parts - 1 else accelerator.no_sync(state.loss):
        with draws:
            loss, logs = state.loss(batch, generator, samples_seen=seen, stage=config.curriculum_stage(seen))
        (loss.mean() / parts).backward()
    return loss, logs


def agree(state: State, loss: float, norm: float, asked_to_stop: bool) -> Outcome:
    """All processes take the same turn: one sum over four numbers."""
    world, minutes = state.accelerator.num_processes, state.config.minutes
    finite = abs(loss) < float("inf") and norm < float("inf")
    late = minutes is not None and state.accelerator.is_main_process and state.seconds >= 60 * minutes
    flags = torch.tensor([loss if finite else 0.0, not finite, asked_to_stop, late], dtype=torch.float32)
    if world > 1:
        flags = state.accelerator.reduce(flags.to(state.accelerator.device), "sum").cpu()
    total, bad, stop, out_of_time = flags.tolist()
    return Outcome(total / world, bad > 0, stop > 0, out_of_time > 0)


def apply(state: State, loss: float, stage: int) -> None:
    """Move the weights and their averages, at this stage of the curriculum."""
    for group in state.optimizer.param_groups:
        group["lr"] = state.config.optimizer.lr_at(state.step, state.config.steps)
    state.optimizer.step()
    state.average.update(state.trained.named_parameters())
    state.aides.follow(state.trained, stage)
    state.bad_in_row = 0
    state.smooth_loss = loss if state.smooth_loss is None else SMOOTHING * state.smooth_loss + (1 - SMOOTHING) * loss


def skip(state: State, loss: float, norm: float, logs: dict[str, float]) -> None:
    """Leave the weights as they are; give up when it goes on."""
    state.bad_in_row, state.bad_total = state.bad_in_row + 1, state.bad_total + 1
    place = f"seed {state.config.seed}, step {state.step}, rank {state.accelerator.process_index}"
    key = f"({place}{blame(logs)}{clips(state)})"
    is_mine = not (abs(loss) < float("inf") and norm < float("inf"))
    say(f"step {state.step} skipped: loss {loss}, gradient norm {norm}, batch {key}", everywhere=is_mine)
    if state.bad_in_row >= state.config.max_bad_steps:
        raise UserError(
            f"{state.bad_in_row} steps in a row had a loss or gradient that is not finite, the last with batch {key}"
            ": lower optimizer.lr, try precision=fp32, or look at that batch"
        )


def clips(state: State) -> str:
    """The clips that the present step's batches are of, where these know; of many the first ones."""
    known = getattr(state.batches, "clips_of", None)
    parts = state.config.grad_accumulation
    numbers = range(state.step * parts, (state.step + 1) * parts)
    names = sorted({name for number in numbers for name in known(number)}) if known else []
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", of {', '.join(names[:NAMED])}{more}" if names else ""


def blame(logs: dict[str, float]) -> str:
    """Which samples of a batch had a loss that is not finite, where it was not the gradient alone."""
    if "bad_sample" not in logs:
        return ""
    angle = f" at angle {logs['bad_angle']:.4f}" if "bad_angle" in logs else ""
    return f", {logs['bad_samples']:.0f} of its samples, the first number {logs['bad_sample']:.0f}{angle}"
