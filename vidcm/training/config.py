"""What a training run is made of. Defaults live here; YAML and the command line only override them."""

import json
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from math import cos, pi
from pathlib import Path
from typing import Any, Literal

import yaml

from vidcm.data.batches import DataConfig
from vidcm.settings import as_mapping, from_mapping, read_yaml, with_overrides
from vidcm.training.trackers import check_trackers


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with a linear warm-up and a schedule over `RunConfig.steps`."""

    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    eps: float = 1e-8
    warmup: int = 200  # steps
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    final: float = 0.02  # lr at the last step, as a share of `lr`; not for "constant"

    def lr_at(self, step: int, steps: int) -> float:
        """Learning rate of step 0 <= step < steps."""
        warm = min(1.0, (step + 1) / max(self.warmup, 1))
        progress = min(1.0, max(0, step - self.warmup) / max(steps - self.warmup, 1))
        shape = {"cosine": (1 + cos(pi * progress)) / 2, "linear": 1 - progress, "constant": 1.0}[self.schedule]
        floor = 0.0 if self.schedule == "constant" else self.final
        return self.lr * warm * (floor + (1 - floor) * shape)


@dataclass(frozen=True)
class EMAConfig:
    """Average of the trained weights, used for evaluation and shipped. See `vidcm.core.ema`."""

    kind: Literal["power", "fixed", "none"] = "fixed"
    decay: float = 0.999  # fixed: share of the old average kept per step
    width: float = 0.05  # power: relative width of the averaging window (sigma_rel)


@dataclass(frozen=True)
class LatentsConfig:
    """Cache of what the frozen VAE encodes, for objectives. At zero samples each step encodes its own batch."""

    prepared: bool = False  # those that `vidcm prepare --latents` left in the dataset, instead
    samples: int = 0  # how many augmented samples to encode
    dir: str | None = None  # default: `latents` beside the run's folder; runs of one VAE on one data config share it
    seed: int | None = None  # of what is encoded; default: the run's; runs of several seeds may share one cache by it
    shard: int = 1024  # samples per shard; an interrupted encoding continues at the last whole shard
    batch_size: int | None = None  # per process in training; default: the data's
    resident: bool = False  # all of them kept in the device's memory, instead of mapped from disk


@dataclass(frozen=True)
class RunConfig:
    """One stage of training: `vae`, `decoder`, or the name of an objective in `vidcm.losses`."""

    stage: str = "vae"
    family: str = "motion"
    init: str | None = None  # model directory to start from; none: a new model from `model`
    model: dict[str, Any] = field(default_factory=dict)  # overrides of the family's model config, for a new model
    lora: int | None = None  # for pretrained video models: rank of an adapter that is trained; none: all weights are
    gradient_checkpointing: bool = False  # for them, too: activations are computed twice instead of kept
    prompt: str = ""  # for pretrained video models: what the clips show, one text for all
    out: str = "runs/run"
    seed: int = 0
    steps: int = 10_000
    minutes: float | None = None  # stop after so much training time, counted across resumptions
    device: str = "auto"  # auto, cpu, cuda, mps
    processes: int | None = None  # abort unless exactly so many were started
    shard: bool = False  # weights, gradients, moments and averages in shards over all processes (FSDP2)
    context: int = 1  # so many processes share each clip, by its frames
    patience_minutes: float = 30.0  # how long one process waits for another that trains, before it gives up
    precision: Literal["bf16", "fp32"] = "bf16"  # of the networks; weights, losses and times are float32
    tf32: bool = False  # on a GPU: what stays in float32 multiplies on tensor cores, with 10 bits of mantissa
    compile: str | None = None  # backend of torch.compile for the networks, such as inductor; none: not compiled
    efficiency: bool = False  # tell operations a second, and their share of the device's peak
    peak_tflops: float | None = None  # of the device, for that, in 10^12 a second; none: measured by a large product
    grad_clip: float = 1.0  # largest norm of the gradient; 0: no clipping
    grad_accumulation: int = 1  # batches per step
    max_bad_steps: int = 8  # give up after so many steps in a row whose loss or gradient is not finite
    log_every: int = 50
    track: tuple[str, ...] = ()  # names of trackers beside metrics.jsonl (vidcm/training/trackers.py)
    save_every: int = 1000
    keep: int = 2  # checkpoints
    objective: dict[str, Any] = field(default_factory=dict)  # its fields; in `vae` and `decoder`, of the family's own
    samples_per_stage: int | None = None  # curriculum: after so many samples an objective's `stage` grows by one
    last_stage: int = 8  # of the curriculum
    optimizer: OptimizerConfig = OptimizerConfig()
    ema: EMAConfig = EMAConfig()
    data: DataConfig = field(default_factory=DataConfig)
    latents: LatentsConfig = LatentsConfig()

    def __post_init__(self) -> None:
        for name in ("steps", "grad_accumulation", "context", "max_bad_steps", "log_every", "save_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.lora is not None and self.lora < 1:
            raise ValueError(f"lora must be a rank of at least 1, or null to train all weights, got {self.lora}")
        check_trackers(self.track)
        if self.compile is not None and (self.shard or self.context > 1):
            raise ValueError("compile does not go with shard or context: leave out one of them")
        if self.peak_tflops is not None and not 0 < self.peak_tflops < float("inf"):
            raise ValueError(f"peak_tflops must be a number above 0, or null to measure it, got {self.peak_tflops}")
        if not 0 < self.patience_minutes < float("inf"):
            raise ValueError(f"patience_minutes must be a number above 0, got {self.patience_minutes}")
        if self.samples_per_stage is not None and self.samples_per_stage < 1:
            raise ValueError(f"samples_per_stage must be at least 1 or null, got {self.samples_per_stage}")

    def curriculum_stage(self, samples_seen: int) -> int:
        """An objective's `stage` after so many samples: a pure function, so that a resumed run stays exact."""
        return min(samples_seen // self.samples_per_stage, self.last_stage) if self.samples_per_stage else 0


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config in a YAML file, `key=value` overrides laid over it."""
    return from_mapping(RunConfig, with_overrides(read_yaml(path), overrides))


def resolved(config: RunConfig) -> dict[str, Any]:
    """Every value of the config as plain YAML, defaults included."""
    mapping: dict[str, Any] = as_mapping(config)
    return mapping


def differences(before: Any, now: Any, where: str = "") -> list[str]:
    """What differs between two resolved configs, `key before -> now` each."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{where} {before} -> {now}"]
    keys = {key: f"{where}.{key}" if where else str(key) for key in (*now, *before)}
    return [line for key, name in keys.items() for line in differences(before.get(key), now.get(key), name)]


def recorded(folder: Path) -> dict[str, Any] | None:
    """The resolved config of the run in a folder, as of its last start."""
    path = folder / "config.yaml"
    return read_yaml(path) if path.is_file() else None


def record_run(config: RunConfig, folder: Path, **facts: Any) -> None:
    """Write `config.yaml` (resolved) and `run.json` (commit, versions, command, `facts`) into the run's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(resolved(config), sort_keys=False), encoding="utf-8")
    record = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": config.seed,
        "commit": git_commit(),
        "command": sys.argv,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "diffusers", "accelerate")},
        **facts,
    }
    with (folder / "run.jsonl").open("a", encoding="utf-8") as file:  # one line per start, so that resumptions show
        file.write(json.dumps(record) + "\n")


def git_commit() -> str | None:
    """Commit of the source tree, with `+` appended when it has changes; none outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout

    try:
        return git("rev-parse", "HEAD").strip() + ("+" if git("status", "--porcelain", "-uno").strip() else "")
    except (OSError, subprocess.SubprocessError):
        return None
