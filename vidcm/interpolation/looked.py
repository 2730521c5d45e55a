"""A source frame, and the little that is kept of it for telling cuts and flashes."""

from functools import cached_property

import numpy as np

from vidcm.media.flash import Levels, levels_of
from vidcm.media.reader import VideoFrame
from vidcm.media.shots import thumbnail


class Looked:
    """What is kept is first asked for while the frame is looked at for cuts: its eight bits are there then."""

    def __init__(self, frame: VideoFrame) -> None:
        self.frame = frame

    @cached_property
    def small(self) -> np.ndarray:
        """uint8 RGB [H, W, 3], as small as the cut detector looks at."""
        return thumbnail(self.frame.seen)

    @cached_property
    def levels(self) -> Levels:
        """How bright it is, see `media.flash`."""
        return levels_of(self.small)

    def compared(self) -> None:
        """It was looked at for cuts on both of its sides."""
