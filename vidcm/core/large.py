"""Which pictures are large: so much memory goes into each that none is held twice, or longer than it is needed."""

LARGE = 2**22  # pixels: between 1440p and 4K


def is_large(height: int, width: int) -> bool:
    return height * width > LARGE
