"""Source frames as tensors, and tensors as frames.

Of a large picture little is held: the decoder's own, and floats where it is an end of the pair at hand. The rest is
converted again when it is asked for, which takes a fiftieth of the time that its in-betweens take.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidcm.core.errors import UserError
from vidcm.core.large import is_large
from vidcm.interpolation.looked import Looked
from vidcm.interpolation.makers import FrameByFrame
from vidcm.media.alpha import laid, lifted
from vidcm.media.deep import HEADROOM
from vidcm.media.light import layered, lit
from vidcm.media.reader import VideoFrame

BAND = 2**20  # values that are brought to samples at once


class Picture(Looked):
    """A source frame, with its tensor once somebody asks. is_deep: whether eight bits would lose something.

    with_alpha: whether that is moved along, where there is any. since, until: what stands still in front of it since
    the one before and until the next one, see `Overlays`. is_lean: no more is held of it than of a large one.
    starts_shot: told by whoever looks for cuts."""

    def __init__(
        self,
        frame: VideoFrame,
        with_alpha: bool = False,
        since: np.ndarray | None = None,
        until: np.ndarray | None = None,
        is_lean: bool = False,
    ) -> None:
        super().__init__(frame)
        self.instant, self.duration, self.starts_shot = frame.instant, frame.duration, False
        self.since, self.until = since, until
        self._tensor: Tensor | None = None
        self._look: Any = None
        self._is_compared = False
        native = frame.native
        self.is_lean = native is not None and (is_lean or is_large(native.height, native.width))
        self._with_alpha = with_alpha
        if self.is_lean:
            self.is_deep = frame.is_deep
        else:  # converted here and now, in the thread that decodes
            self.is_deep = frame.samples.dtype != np.uint8
            _ = frame.light, with_alpha and frame.alpha

    @property
    def tensor(self) -> Tensor:
        """float32 RGB 0..1 [3, H, W]; with alpha [4, H, W], the picture laid over grey; of light, its layers. The same
        one until it is let go of."""
        if self._tensor is None:
            self._tensor = self._planes()
            self._forget()
        return self._tensor

    def _planes(self) -> Tensor:
        light, alpha = self.frame.light, self.frame.alpha if self._with_alpha else None
        if self.is_lean:
            self.frame.forget()
        if light is not None:
            return torch.from_numpy(layered(light)).permute(2, 0, 1).contiguous()
        samples = self.frame.converted() if self.is_lean else self.frame.samples
        if alpha is not None:
            return torch.from_numpy(laid(samples, alpha)).permute(2, 0, 1).contiguous()
        planes = torch.from_numpy(samples).permute(2, 0, 1)
        return planes.contiguous() if self.is_deep else planes.to(torch.float32).div_(255)

    def straight(self) -> tuple[np.ndarray, np.ndarray] | None:
        """RGB [H, W, 3], uint8 or float32 0..1, as it lies under the alpha 0..1 [H, W]. None where that is not moved
        along, or there is none."""
        alpha = self.frame.alpha if self._with_alpha and self.frame.light is None else None
        colours = None if alpha is None else self.frame.converted()
        if self.is_lean:
            self.frame.forget()
        self._forget()
        return None if alpha is None or colours is None else (colours, alpha)

    def look(self, by: FrameByFrame) -> Any:
        """What `by` needs of it, kept."""
        if self._look is None:
            self._look = by.look(self.tensor)
        return self._look

    def let_go(self, *, is_over: bool) -> None:
        """It is no end of the pair at hand. is_over: nor of one to come."""
        if is_over or self.is_lean:
            self._tensor = None

    def compared(self) -> None:
        self._is_compared = True
        self._forget()

    def _forget(self) -> None:
        """Its eight bits are for finding cuts and for its tensor, and nobody else needs them."""
        if self._is_compared and (self.is_lean or (self._tensor is not None and self.frame.native is not None)):
            self.frame.forget()


def to_bytes(made: Tensor) -> np.ndarray:
    """RGB 0..1 [3, K, H, W] -> uint8 [K, H, W, 3]. Raises UserError for what is no picture. More planes:
    see `to_floats`.
    """
    if len(made) > 3:
        return to_floats(made)
    return _frames(made, torch.uint8, lambda x: x.clamp(0, 1).mul_(255).round_())


def to_floats(made: Tensor) -> np.ndarray:
    """RGB 0..1 [3, K, H, W] -> float32 [K, H, W, 3], where eight bits would lose something. Raises like `to_bytes`.
    Pictures laid over grey and alpha [4, K, H, W] -> straight RGBA [K, H, W, 4]; layers of light -> light."""
    frames = _frames(made, torch.float32, _held)
    if len(made) == 3:
        return frames
    return np.stack([lifted(each) if len(made) == 4 else lit(each) for each in frames])


def _held(made: Tensor) -> Tensor:
    """A copy, held in range. What of light lies beyond black and white has planes of its own, which go on: there the
    first three would be a second reserve, worth a quarter of a highlight."""
    if len(made) > 4:
        return torch.cat([made[:3].clamp(0, 1), made[3:]])
    return made.clamp(-HEADROOM, 1 + HEADROOM)


def _frames(made: Tensor, dtype: torch.dtype, sampled: Callable[[Tensor], Tensor]) -> np.ndarray:
    if not made.sum(dtype=torch.float32).isfinite():  # one number: a mask of a 4K frame costs more than the frame
        raise UserError("the model made values that are not numbers: its weights are damaged or unfit for this device")
    planes, count, height, width = made.shape
    frames = torch.empty(count, height, width, planes, dtype=dtype)
    rows = max(1, BAND // (planes * width))
    for index in range(count):
        for top in range(0, height, rows):
            band = sampled(made[:, index, top : top + rows])
            frames[index, top : top + rows] = band.permute(1, 2, 0)
    return frames.numpy()
