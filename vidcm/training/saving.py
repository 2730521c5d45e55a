"""A run's checkpoints and its model on disk: written at a step, and gone on from."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vidcm.core.errors import UserError
from vidcm.training import checkpoint, sharded
from vidcm.training.metrics import clock, say
from vidcm.training.state import COUNTERS, State


def save(state: State) -> None:
    """A checkpoint, and beside it OUT/model with the averaged weights; nothing to do twice for one step."""
    if state.saved_at == state.step:
        return
    state.saved_at = state.step
    out, is_first = Path(state.config.out), state.accelerator.is_main_process
    if is_first or state.is_sharded:
        together: dict[str, Any] = {"write": sharded.write_shards, "wait": state.accelerator.wait_for_everyone}
        counted = {name: getattr(state, name) for name in (*COUNTERS, "frozen")} | {"ema_step": state.average.step}
        counted |= {"meter": state.meter.sums}
        moments = checkpoint.optimizer_tensors(state.optimizer, state.names)
        how = {"keep": state.config.keep, "is_first": is_first, **(together if state.is_sharded else {})}
        checkpoint.save(out / "checkpoints", state.step, state.groups(moments), counted, **how)
        save_model(state)
    state.accelerator.wait_for_everyone()


def save_model(state: State) -> None:
    """OUT/model, with the averaged weights. Of shards, every process has to call this."""
    if state.is_sharded:
        save_gathered(state)
        return
    last = {name: tensor.clone() for name, tensor in state.trained.state_dict().items()}
    state.average.copy_to(state.trained.named_parameters())
    try:
        state.family.save(Path(state.config.out) / "model")
    finally:
        state.trained.load_state_dict(last)


def save_gathered(state: State) -> None:
    """The same of shards, gathered in the first process."""
    is_first = state.accelerator.is_main_process
    averaged = state.trained.state_dict() | state.average.averages
    whole = sharded.gathered(averaged, keep=is_first)
    if is_first:
        state.outline.load_state_dict(whole, assign=True)
        with sharded.stood_in(state.family, state.trained, state.outline):
            state.family.save(Path(state.config.out) / "model")
        state.outline.to("meta")


def restore(state: State, found: checkpoint.Checkpoint | None) -> None:
    """Continue from a checkpoint; where none is whole, from the start."""
    if found is None:
        say("no checkpoint is whole: starting at step 0")
        return
    if found.state.get("frozen", state.frozen) != state.frozen:
        raise UserError(f"init={state.config.init} has changed since {found.path}: restore it, or start another run")
    try:
        if state.is_sharded or sharded.is_sharded(found.path):
            refill(state, found)
        else:
            state.trained.load_state_dict(found.tensors("params"))
            state.average.load_state_dict({"step": found.state["ema_step"], "averages": found.tensors("ema")})
            checkpoint.load_optimizer_tensors(state.optimizer, state.names, found.tensors("optimizer"))
            if state.aides.state_dict():
                state.aides.load_state_dict(found.tensors("aides"))
    except (RuntimeError, KeyError, FileNotFoundError, SafetensorError) as error:  # other names or shapes
        raise UserError(f"{found.path} is of another model than the config's: {str(error)[:200]}") from error
    state.step = state.saved_at = found.step
    for name in found.state.keys() & set(COUNTERS):
        setattr(state, name, found.state[name])
    state.meter.sums = {name: (total, count) for name, (total, count) in found.state.get("meter", {}).items()}
    say(f"resuming after step {state.step}, {clock(state.seconds)} of training")


def refill(state: State, found: checkpoint.Checkpoint) -> None:
    """The state of a checkpoint that was written in shards, or is to be read in such."""
    named = dict(zip(state.names, state.parameters, strict=True))
    moments = sharded.empty_moments(sharded.names_of(found.path, "optimizer"), named)
    groups = state.groups(moments)
    sharded.fill(found.path, groups)
    state.trained.load_state_dict(groups["params"])
    state.average.step = found.state["ema_step"]
    checkpoint.load_optimizer_tensors(state.optimizer, state.names, moments)
