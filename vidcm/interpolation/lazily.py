"""An interpolator that nobody waits for before there is something to make. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from vidcm.core.judged import Judged
    from vidcm.interpolation.makers import Interpolator


@dataclass(frozen=True)
class Lazily:
    """An interpolator that is loaded when the first in-between is wanted: by then the input has been found readable
    and whole. loaded: gives it, the same at every call."""

    loaded: "Callable[[], Interpolator]"

    def __call__(self, *ends_and_taus: Any, **key: Any) -> "Tensor | Judged":
        return self.loaded()(*ends_and_taus, **key)
