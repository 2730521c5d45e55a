"""Encoders that take pictures in the memory of a device alone, as VAAPI's do: PyAV brings each one there."""

from av.codec.hwaccel import HWAccel


def device_of(memory: str | None) -> HWAccel | None:
    """memory: FFmpeg's name of the kind of device; None for encoders that take pictures as they are."""
    return None if memory is None else HWAccel(memory)
