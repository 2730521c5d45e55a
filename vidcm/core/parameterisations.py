"""Networks of every native parameterisation as `denoiser(x, angle) -> x0` on the circle.

A network is called as `network(input, time, **condition)`: input like x, time [B]. Each map sends the point of the
circle to the native point of equal signal-to-noise ratio, and none divides by the cosine, so pure noise (angle pi/2)
needs no special case; a DDPM network of eps is the exception. At angle 0 every one of them returns x exactly.
What a denoiser is told beside x and angle, such as a guidance scale, goes to the network with the condition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vidcm.core.circle import PURE_NOISE, Denoiser, cos_sin, t_of

Network = Callable[..., Tensor]


@dataclass(frozen=True)
class CirclePrecond:
    """Preconditioning on the circle: EDM's derivation (arXiv:2206.00364, B.6) for x = cos x0 + sin noise.

        x0 = c_skip x + c_out F(c_in x, angle)

    At sigma_data = 1 this is TrigFlow (arXiv:2410.11081), x0 = cos x - sin F, and the network estimates the velocity v.

    sigma_data: standard deviation of x0, which is 1 after a family's scaling; where it is not, this keeps F's input and
    target at unit variance.
    """

    sigma_data: float = 1.0

    def __call__(self, angle: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """angle [B, 1, ...]. Returns (c_skip, c_out, c_in, c_noise), each like it; (1, 0, 1/sigma_data, 0) at 0."""
        cos, sin = cos_sin(angle)
        norm = ((cos * self.sigma_data) ** 2 + sin**2).sqrt()
        c_in = 1 / norm
        c_skip = cos * (self.sigma_data * c_in) ** 2
        c_skip = c_skip.masked_fill(angle == 0, 1.0)  # rounding may not cost us f(x, 0) == x
        return c_skip, -sin * self.sigma_data * c_in, c_in, angle

    def denoiser(self, network: Network, **condition: Any) -> Denoiser:
        """Wrap a raw network. It may compute in half precision: its output is brought back to x's dtype."""

        def denoise(x: Tensor, angle: Tensor, **told: Any) -> Tensor:
            c_skip, c_out, c_in, c_noise = self(angle)
            return c_skip * x + c_out * network(c_in * x, c_noise.flatten(), **condition, **told).to(x.dtype)

        return denoise


@dataclass(frozen=True)
class EDM:
    """Raw EDM network F(c_in y, ln(sigma) / 4) for y = sigma_data x0 + sigma noise (arXiv:2206.00364, Table 1).

    With t = sigma / sigma_data, c_in y is x itself and the denoised y over sigma_data is cos x + sin F.

    sigma_min, sigma_max: the range F was trained on. Only its time input is clamped to it.
    """

    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0

    def denoiser(self, network: Network, **condition: Any) -> Denoiser:
        def denoise(x: Tensor, angle: Tensor, **told: Any) -> Tensor:
            cos, sin = cos_sin(angle)
            c_noise = (self.sigma_data * t_of(angle)).clamp(self.sigma_min, self.sigma_max).log() / 4
            return cos * x + sin * network(x, c_noise.flatten(), **condition, **told).to(x.dtype)

        return denoise


@dataclass(frozen=True)
class RectifiedFlow:
    """Network of velocity = noise - x0 at y = (1 - s) x0 + s noise (arXiv:2209.03003; SD3, Wan, LTX).

    Equal signal-to-noise ratio: s = sin / (cos + sin), y = x / (cos + sin). A timestep shift moves the points that
    training and sampling visit, not what the network means at one of them: it lives in `times.flow_angles`.

    time_scale: the network is told time_scale * s (1000 in diffusers).
    """

    time_scale: float = 1.0

    def denoiser(self, network: Network, **condition: Any) -> Denoiser:
        def denoise(x: Tensor, angle: Tensor, **told: Any) -> Tensor:
            cos, sin = cos_sin(angle)
            s, y = sin / (cos + sin), x / (cos + sin)
            return y - s * network(y, (self.time_scale * s).flatten(), **condition, **told).to(x.dtype)

        return denoise


@dataclass(frozen=True)
class TrigFlow:
    """TrigFlow network (arXiv:2410.11081, section 3): f = cos y - sin sigma_data F(y / sigma_data, angle) at
    y = sigma_data x. Over sigma_data this is cos x - sin F(x, angle), whatever sigma_data is.

    time_scale: the network is told time_scale * angle.
    """

    time_scale: float = 1.0

    def denoiser(self, network: Network, **condition: Any) -> Denoiser:
        def denoise(x: Tensor, angle: Tensor, **told: Any) -> Tensor:
            cos, sin = cos_sin(angle)
            time = (self.time_scale * angle).flatten()
            return cos * x - sin * network(x, time, **condition, **told).to(x.dtype)

        return denoise


@dataclass(frozen=True)
class DDPM:
    """Variance-preserving network of eps (arXiv:2006.11239) or v = cos eps - sin x0 (arXiv:2202.00512).

    Its x is ours; the timestep is found between those of equal angle, and may be a fraction.

    angles: of the timesteps 0, 1, ..., rising (`times.vp_angles`); the last is pi/2 where terminal SNR is zero.
    An eps network says nothing about x0 at pure noise. Beyond its last angle x is read as if it stood there, which is
    what samplers do that start such a model from plain noise. A v network needs no such reading.
    """

    angles: tuple[float, ...]
    predicts: Literal["eps", "v"] = "eps"

    def __post_init__(self) -> None:
        if self.predicts == "eps" and self.angles[-1] >= PURE_NOISE:
            raise ValueError("a network of eps cannot have zero terminal SNR: predicts must be 'v'")

    def denoiser(self, network: Network, **condition: Any) -> Denoiser:
        def denoise(x: Tensor, angle: Tensor, **told: Any) -> Tensor:
            seen = angle.clamp(max=self.angles[-1]) if self.predicts == "eps" else angle
            cos, sin = cos_sin(seen)
            output = network(x, self.timestep(angle), **condition, **told).to(x.dtype)
            return cos * x - sin * output if self.predicts == "v" else (x - sin * output) / cos

        return denoise

    def timestep(self, angle: Tensor) -> Tensor:
        """angle [B, 1, ...] -> [B] in [0, steps - 1], linear between the table's angles, clamped to its ends."""
        table = torch.tensor(self.angles, device=angle.device, dtype=angle.dtype)
        seen = angle.flatten().clamp(table[0], table[-1])
        above = torch.searchsorted(table, seen).clamp(1, len(table) - 1)
        share = (seen - table[above - 1]) / (table[above] - table[above - 1])
        return above - 1 + share
