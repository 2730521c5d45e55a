"""What a run is between two steps, in one process: its weights, their averages and moments, and what it has counted."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from vidcm.training import sharded
from vidcm.training.config import RunConfig
from vidcm.training.divided import place_among
from vidcm.training.efficiency import Work, measured_peak
from vidcm.training.metrics import Meter
from vidcm.training.speed import speed_up
from vidcm.training.start import frozen_checksum, part_to_train, start_average
from vidcm.training.step import StageLoss, loss_function

COUNTERS = ("seconds", "bad_in_row", "bad_total", "smooth_loss", "samples_per_step")  # kept in checkpoints


@dataclass
class State:
    """Built at step 0; `saving.restore` takes it further."""

    config: RunConfig
    accelerator: Accelerator
    family: Any
    batches: Any  # of this process: iterate(start) yields one per backward pass, each a pure function of its number
    step: int = 0  # steps done
    seconds: float = 0.0  # spent training, over all resumptions
    bad_in_row: int = 0
    bad_total: int = 0
    smooth_loss: float | None = None
    samples_per_step: int = 0  # over all processes; known after the first step
    saved_at: int = -1
    meter: Meter = field(default_factory=Meter)  # of the steps since the last line of metrics
    work: Work | None = None  # where the config asks for it

    def __post_init__(self) -> None:
        config, o = self.config, self.config.optimizer
        self.place = place_among(config, self.accelerator.process_index, self.accelerator.num_processes)
        self.trained = part_to_train(config.stage, self.family, self.accelerator.device)
        compute, self.aides = loss_function(config, self.family, self.trained)
        self.frozen = frozen_checksum(self.family) if config.init else ""
        speed_up(config, self.family)
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
        if config.efficiency:
            dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
            peak = config.peak_tflops and 1e12 * config.peak_tflops
            self.work = Work(peak or measured_peak(self.accelerator.device, dtype))

    def networks(self) -> list[nn.Module | None]:
        """Those that see clips: the student, and what goes before it."""
        return [self.trained, getattr(self.aides, "target", None), getattr(self.family, "teacher", None)]

    def open_stream(self) -> Generator[dict[str, Any], None, None]:
        """Batches from the present step on."""
        return self.batches.iterate(self.step * self.config.grad_accumulation)

    def groups(self, moments: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """All tensors of the state, by what a checkpoint calls them."""
        params = {name: tensor.clone() for name, tensor in self.trained.state_dict().items()}
        found = {"params": params, "ema": self.average.averages, "optimizer": moments}
        aides = self.aides.state_dict()
        return found | ({"aides": aides} if aides else {})
