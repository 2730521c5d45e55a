"""What the name of a pixel format tells."""

import av


def has_alpha(pix_fmt: str) -> bool:
    """Whether its last component is alpha (PyAV's own `is_alpha` misses most of them); palettes do not count."""
    return pix_fmt.startswith(("yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya", "ayuv", "vuya"))


def is_rgb(pix_fmt: str) -> bool:
    """Palettes are RGB, too."""
    known = av.VideoFormat(pix_fmt)
    return bool(known.is_rgb or known.has_palette)
