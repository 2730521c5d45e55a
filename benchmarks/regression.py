"""The motion DiT trained as plain regression, to see what sampling is worth: the same network, latents and optimiser.

    python -m benchmarks.regression configs/runs/motion_diffusion.yaml out=runs/motion-regression steps=3300

Two thirds of it stand for the diffusion run's 2000 steps and the rest for the 1000 of ECT, whose target costs a third
pass. The model is sampled in one step without noise; `python -m benchmarks.ambiguity` compares the two.
"""

import argparse
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from vidcm import losses
from vidcm.core.circle import Denoiser, per_sample
from vidcm.core.distances import mean_square
from vidcm.core.errors import UserError
from vidcm.core.times import START_ANGLE


@losses.register("regression")
@dataclass(frozen=True)
class RegressionLoss:
    """L = mean (f(0, angle of the first step) - x0)^2: f learns the mean of x0 under its condition, and no doubt.

    Not among vidcm's objectives: what it trains has one step, and nothing to sample."""

    def __call__(self, f: Denoiser, x0: Tensor, *, stage: int, generator: torch.Generator) -> Tensor:
        return mean_square(f(torch.zeros_like(x0), per_sample(START_ANGLE, x0)), x0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    from vidcm.training.config import load_config
    from vidcm.training.loop import train

    try:
        print(train(load_config(options.config, ["stage=regression", *options.overrides]), resume=options.resume))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
