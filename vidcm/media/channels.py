"""Which channels sound has, where a file says but how many: AVI, and Matroska of PCM."""

import re

from av.audio.stream import AudioStream

USUAL = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}  # as players take them


def layout_of(stream: AudioStream) -> str:
    """FFmpeg's name of the layout, the usual one for so many channels where there is none; `12 channels` of more."""
    name = str(stream.codec_context.layout.name)
    count = re.fullmatch(r"(\d+) channels", name)
    return name if count is None else USUAL.get(int(count[1]), name)


def is_named(layout: str) -> bool:
    return not layout.endswith(" channels")
