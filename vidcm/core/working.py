"""The size at which motion is found, whatever that of the pictures."""

LEAST_SIDE, MOST_SIDE = 256, 512  # pixels: of the short side


def working_size(height: int, width: int, finer: float = 1.0) -> tuple[int, int]:
    """Two thirds of the short side, between LEAST_SIDE and MOST_SIDE but never enlarged, both sides brought to
    multiples of 16. finer: times as large, up to MOST_SIDE, and enlarged where it has to be."""
    short = min(height, width)
    usual = min(1.0, min(max(short * 2 / 3, LEAST_SIDE), MOST_SIDE) / short)
    scale = min(usual * finer, max(usual, MOST_SIDE / short))
    lines, columns = (max(64, 16 * round(side * scale / 16)) for side in (height, width))
    return lines, columns
