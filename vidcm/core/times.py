"""Which noise levels training draws (t) and sampling visits (angles).

t is the noise-to-signal ratio for unit data. EDM and ECT publish constants for sigma_data = 0.5: their sigma is t / 2,
so their means shift by ln 2 and their sigma_max of 80 is T_MAX = 160 here.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from vidcm.core.circle import PURE_NOISE

T_MIN = 0.004
T_MAX = 160.0
START_ANGLE = math.atan(T_MAX)
"""Where samplers start: 0.006 rad before pure noise, as far as consistency training reaches (decision 0003)."""


def log_normal(shape: tuple[int, ...], mean: float, std: float, *, generator: torch.Generator) -> Tensor:
    """ln t ~ N(mean, std^2). Float32, on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device).mul(std).add(mean).exp()


def with_share_at(t: Tensor, value: float, share: float, *, generator: torch.Generator) -> Tensor:
    """Replace each entry of t by `value` (inf: pure noise) with probability `share`."""
    chosen = torch.rand(t.shape, generator=generator, device=generator.device) < share
    return t.masked_fill(chosen.to(t.device), value)


def ect_gap(t: Tensor, stage: int, *, q: float, k: float, b: float) -> Tensor:
    """1 - r/t of ECT (arXiv:2406.14548, eq. 14), before r is cut at 0; elementwise, > 0."""
    return (1 + k * torch.sigmoid(-b * t)) / q ** (stage + 1)


def edm_weight(angle: Tensor) -> Tensor:
    """EDM's lambda = (sigma^2 + sigma_data^2) / (sigma sigma_data)^2 for unit data: 1 / sin^2, 1 at pure noise."""
    return angle.sin() ** -2


def edm_times(count: int, *, t_min: float = T_MIN, t_max: float = T_MAX, rho: float = 7.0) -> tuple[float, ...]:
    """EDM's schedule (arXiv:2206.00364, eq. 5): `count` falling t, from t_max to t_min."""
    first, last = t_max ** (1 / rho), t_min ** (1 / rho)
    return tuple((first + (last - first) * i / max(count - 1, 1)) ** rho for i in range(count))


def edm_angles(steps: int, *, t_min: float = T_MIN, t_max: float = T_MAX, rho: float = 7.0) -> tuple[float, ...]:
    """`edm_times` as steps + 1 falling angles, the last one 0."""
    return (*map(math.atan, edm_times(steps, t_min=t_min, t_max=t_max, rho=rho)), 0.0)


def consistency_times(count: int) -> Tensor:
    """The `count` >= 2 rising t between which consistency models are trained (arXiv:2303.01469, section 5), float32.

    Unlike the paper, the first is 0 rather than T_MIN: our f is the identity at 0, theirs at the smallest sigma.
    """
    return torch.tensor((0.0, *reversed(edm_times(count)[:-1])))


def bin_probabilities(count: int, mean: float, std: float) -> Tensor:
    """iCT's share of each of the count - 1 bins between `edm_times` (arXiv:2310.14189, Table 1): ln t ~ N(mean, std^2)
    cut to them. Float64, rising with t as `consistency_times`."""
    edges = torch.tensor(edm_times(count)[::-1], dtype=torch.float64)
    mass = torch.erf((edges.log() - mean) / (std * math.sqrt(2))).diff()
    return mass / mass.sum()


def uniform_angles(steps: int, *, start: float = START_ANGLE) -> tuple[float, ...]:
    """steps + 1 angles evenly from `start` to 0."""
    return tuple(start * (1 - i / steps) for i in range(steps + 1))


def flow_angles(steps: int, *, shift: float = 1.0) -> tuple[float, ...]:
    """Rectified flow's s evenly from 1 to 0, moved to shift s / (1 + (shift - 1) s), as steps + 1 angles from pi/2."""
    even = (1 - i / steps for i in range(steps + 1))
    shifted = (shift * s / (1 + (shift - 1) * s) for s in even)
    return tuple(PURE_NOISE if s == 1 else math.atan(s / (1 - s)) for s in shifted)


def vp_angles(
    betas: Literal["linear", "scaled_linear", "cosine"] = "scaled_linear",
    *,
    steps: int = 1000,
    first: float = 0.00085,
    last: float = 0.012,
    zero_terminal_snr: bool = False,
) -> tuple[float, ...]:
    """Angle of each timestep 0 .. steps - 1 of a variance-preserving model, rising: cos(angle)^2 is its alpha_bar.

    linear (arXiv:2006.11239) and scaled_linear (Stable Diffusion) run beta, or its root, from `first` to `last`; cosine
    is arXiv:2102.09672, eq. 17. zero_terminal_snr moves the last one to pi/2 (arXiv:2305.08891, Algorithm 1).
    """
    if betas == "cosine":
        place = torch.arange(steps + 1, dtype=torch.float64) / steps
        level = ((place + 0.008) / 1.008 * PURE_NOISE).cos() ** 2
        beta = (1 - level[1:] / level[:-1]).clamp(max=0.999)
    else:
        power = 2 if betas == "scaled_linear" else 1
        beta = torch.linspace(first ** (1 / power), last ** (1 / power), steps, dtype=torch.float64) ** power
    signal = (1 - beta).cumprod(0).sqrt()
    if zero_terminal_snr:
        signal = (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])
    return tuple(signal.acos().tolist())
