"""What `vidcm doctor --model` prints: parameters, memory and operations of a clip, by part."""

import time
from typing import TYPE_CHECKING, Any

import click

from vidcm.core.memory import peak_resident
from vidcm.interpolation.progress import clock_time

if TYPE_CHECKING:
    from vidcm.generation.needs import Needs, Part

SIDE, TIMES = 2048, 4  # of the matrices that a device's pace is measured on; products


def tell(needs: "Needs", what: str, dtype: str, device: str) -> None:
    count, height, width = needs.shape
    steps = f"{needs.steps} step{'s' if needs.steps > 1 else ''}"
    click.echo(f"{what}: {count} frames of {width}x{height} in {steps}, networks in {dtype}")
    click.echo(f"  {'':<14}{'parameters':>12}{'weights':>12}{'at work':>12}{'in tiles':>12}{'TFLOP':>10}")
    for part in needs.parts:
        click.echo(_row(part))
    click.echo(f"  everything on the device: {size(needs.resident)}")
    click.echo(f"  --low-memory, parts in turn and frames in tiles: {size(needs.in_turn)}")
    click.echo("  and what kernels and the allocator need beside: leave a quarter more")
    if (process := peak_resident()) is not None:
        click.echo(f"  and, on a CPU, what the process holds before there is a model: {size(process)}")
    pace = _pace(device)
    click.echo(
        f"  {needs.flops / 1e12:.3g} TFLOP in all: not under {_time(needs.flops / pace)} on {device}, "
        f"where a product of matrices runs at {pace / 1e12:.3g} TFLOP/s"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else f"{clock_time(seconds)} (h:min:s)"


def as_dict(needs: "Needs", what: str, dtype: str) -> dict[str, Any]:
    """For scripts; sizes in bytes."""
    count, height, width = needs.shape
    parts = [
        {
            "name": part.name,
            "class": part.kind,
            "parameters": part.parameters,
            "weights": part.weights,
            "at_work": part.work.bytes,
            "in_tiles": part.tiled,
            "flops": part.work.flops,
            "calls": part.calls,
        }
        for part in needs.parts
    ]
    clip = {"num_frames": count, "size": f"{width}x{height}", "steps": needs.steps, "dtype": dtype}
    memory = {"resident": needs.resident, "low_memory": needs.in_turn, "flops": needs.flops}
    return {"model": what, **clip, "parts": parts, **memory}


def size(amount: int) -> str:
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**28 else f"{amount / 2**20:.2f} MiB"


def _row(part: "Part") -> str:
    tiled = "" if part.tiled is None else size(part.tiled)
    work = size(part.work.bytes) if part.work.bytes else ""
    flops = f"{part.work.flops / 1e12:.3g}" + (f" x {part.calls}" if part.calls != 1 else "") if part.work.flops else ""
    count = f"{part.parameters / 1e9:.3f} B" if part.parameters >= 1e8 else f"{part.parameters / 1e6:.3f} M"
    return f"  {part.name:<14}{count:>12}{size(part.weights):>12}{work:>12}{tiled:>12}{flops:>10}".rstrip()


def _pace(device: str) -> float:
    """Operations a second of matrix products, in the type that networks have there; the first one warms up."""
    import torch

    matrix = torch.ones(SIDE, SIDE, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
    for number in range(TIMES + 1):
        if number == 1:
            started = _now(device)
        matrix @ matrix
    return TIMES * 2 * SIDE**3 / (_now(device) - started)


def _now(device: str) -> float:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()
