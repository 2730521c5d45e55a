"""Which clips a model can take."""

from dataclasses import dataclass

from vidcm.core.errors import WrongUse


@dataclass(frozen=True)
class Grid:
    """Which clips a model can take: 1 + a multiple of `time` frames, sides that are multiples of `side` pixels."""

    time: int
    side: int

    def check(self, num_frames: int, height: int, width: int) -> None:
        """Raises UserError naming the nearest clip that fits."""
        if num_frames < 1 or (num_frames - 1) % self.time:
            below = 1 + max(0, (num_frames - 1) // self.time) * self.time
            near = f"{below} or {below + self.time}" if num_frames > 0 else "1"
            raise WrongUse(
                f"num_frames must be 1 + a multiple of {self.time} for this VAE, got {num_frames} (try {near})"
            )
        if height < 1 or width < 1 or height % self.side or width % self.side:
            fitting = "x".join(str(self.nearest(side)) for side in (width, height))
            raise WrongUse(
                f"width and height must be multiples of {self.side} for this model, got {width}x{height} "
                f"(try {fitting})"
            )

    def nearest(self, side: float) -> int:
        return max(1, round(side / self.side)) * self.side
