"""Whether a file is all there, told from its packets before hours of work: one fast read through, nothing decoded."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

import av

from vidcm.core.errors import UserError
from vidcm.media.info import VideoInfo, open_container, video_stream
from vidcm.media.instants import Timestamps

SHORT_BY = 3  # so many frames may be missing at the end,
SHORT_PART = Fraction(1, 50)  # or so much of the whole, before a file counts as cut short
GUESS_THEIR_LENGTH = ("mpeg", "avi")  # containers whose stated duration proves nothing


@dataclass(frozen=True)
class Found:
    """frames: packets of the main video; end: where the data ends; promised: where the container says it does. Seconds.
    info: with the clock that all of the packets show.

    Both ends are the video's where its stream states a duration, else the whole file's, sound and all.
    """

    frames: int
    end: Fraction
    promised: Fraction
    info: VideoInfo


def check_whole(info: VideoInfo) -> Found:
    """What there is to expect. Raises UserError for a file that is cut short, or holds a single frame."""
    found = scan(info)
    missing = found.promised - found.end
    if missing > SHORT_BY / info.average_rate and missing > SHORT_PART * (found.promised - info.start):
        raise UserError(
            f"{info.path}: is cut short, it ends at {float(found.end):.2f} s of {float(found.promised):.2f} s; "
            "copy it again, or remux what there is into a new file"
        )
    if found.frames == 1:
        raise UserError(f"{info.path}: holds a single frame: interpolation needs at least two")
    return found


def scan(info: VideoInfo) -> Found:
    """Read all packets. Where reading fails, the file ends."""
    shown, ends = Timestamps(), defaultdict[int, Fraction](Fraction)
    with open_container(info.path) as container:
        video = video_stream(container, info.path)
        try:
            for packet in container.demux():
                if packet.pts is None or packet.time_base is None or packet.is_discard:
                    continue
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                if packet.stream_index == video.index:
                    shown.add(packet.pts, packet.duration)
                ends[packet.stream_index] = max(ends[packet.stream_index], end)
        except av.error.FFmpegError:
            pass
        end = ends[video.index] if video.duration else max(ends.values(), default=info.start)
        timed = info.timed_by(shown, video) if shown else info
    promised = None if info.container.startswith(GUESS_THEIR_LENGTH) else info.promised_end
    return Found(len(shown), end, end if promised is None else promised, timed)
