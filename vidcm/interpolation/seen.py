"""What a viewer sees of a frame that is written: transparent pictures over grey, light as it is displayed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from vidcm.interpolation.rendered import Shown


def seen_of(shown: "Shown", pix_fmt: str) -> "np.ndarray":
    """RGB [H, W, 3], uint8 or float32 0..1, of a source frame or a made one. pix_fmt: of the source."""
    import numpy as np

    from vidcm.media.alpha import over_grey
    from vidcm.media.light import display, is_light

    if not isinstance(shown, np.ndarray):
        return shown.samples if shown.alpha is None else shown.seen
    return display(shown[..., :3]).clip(0, 1) if is_light(pix_fmt) else over_grey(shown)
