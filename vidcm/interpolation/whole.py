"""Whether a file is all there, told from its packets before hours of work: one fast read through, nothing decoded."""

from collections import defaultdict
from dataclasses import dataclass, replace
from fractions import Fraction

import av

from vidcm.core.errors import UserError
from vidcm.interpolation.plan import Rule
from vidcm.media.announced import cut_short
from vidcm.media.info import VideoInfo, open_container, video_stream
from vidcm.media.instants import Timestamps
from vidcm.media.packets import Times, demux
from vidcm.media.sequence import row_of

SHORT_BY = 3  # so many frames may be missing at the end,
SHORT_PART = Fraction(1, 50)  # or so much of the whole, before a file counts as cut short
LONG_S = 60  # a picture shown for longer is looked at twice
MOST_IN_A_GAP = 36_000  # output frames between two source frames: ten minutes of 60 a second
GUESS_THEIR_LENGTH = ("mpeg", "avi")  # containers whose stated duration proves nothing


@dataclass(frozen=True)
class Found:
    """frames: packets of the main video; end: where the data ends; promised: where the container says it does. Seconds.
    info: with the clock that all of the packets show. gaps: instants (from, to) wherever a picture is shown for
    longer than a minute. short: what to say of a file that is cut short.

    Both ends are the video's where its stream states a duration, else the whole file's, sound and all.
    """

    frames: int
    end: Fraction
    promised: Fraction
    info: VideoInfo
    gaps: tuple[tuple[Fraction, Fraction], ...] = ()
    short: str | None = None


def check_whole(info: VideoInfo, *, allow_truncated: bool = False) -> Found:
    """What there is to expect. Raises UserError for a file that is cut short, or holds a single frame."""
    found = scan(info)
    if found.short and not allow_truncated:
        raise UserError(f"{info.path}: {found.short}; copy it again, or take what is there with --allow-truncated")
    if found.frames == 1:
        raise UserError(
            f"{info.path}: holds a single frame: interpolation needs at least two (vidcm generate --image makes "
            f"what follows one); of a row of pictures give the pattern ('{row_of(info.path)}' --input-fps 24)"
        )
    return found


def check_gaps(found: Found, rule: Rule, start: Fraction, stop: Fraction | None) -> None:
    """Raises UserError where damaged timestamps would have frames made for days. start, stop: of the part taken."""
    for first, last in found.gaps:
        made = rule.count(1, 1 / (last - first))
        if made > MOST_IN_A_GAP and first >= start and (stop is None or first < stop):
            raise UserError(
                f"{found.info.path}: shows nothing new from {float(first):.2f} s to {float(last):.2f} s, which would "
                f"take {made:,} frames; remux it if its times are damaged, or leave that out with --range"
            )


def scan(info: VideoInfo) -> Found:
    """Read all packets. Where reading fails, the file ends."""
    shown, ends = Timestamps(), defaultdict[int, Fraction](Fraction)
    with open_container(info.path) as container:
        video = video_stream(container, info.path)
        times = Times(container, video)
        try:
            for packet in demux(container):
                pts = times.of(packet) if packet.stream_index == video.index else packet.pts
                if pts is None or packet.time_base is None or packet.is_discard:
                    continue
                end = (pts + (packet.duration or 0)) * packet.time_base
                if packet.stream_index == video.index:
                    shown.add(pts, packet.duration)
                ends[packet.stream_index] = max(ends[packet.stream_index], end)
        except av.error.FFmpegError:
            pass
        end = ends[video.index] if video.duration else max(ends.values(), default=info.start)
        timed = info.timed_by(shown, video) if shown else info
        gaps = shown.gaps(round(LONG_S / info.time_base)) if shown else []
    promised = None if info.container.startswith(GUESS_THEIR_LENGTH) else info.promised_end
    found = Found(len(shown), end, end if promised is None else promised, timed)
    seconds = tuple((first * info.time_base, last * info.time_base) for first, last in gaps)
    return replace(found, gaps=seconds, short=cut_short(info.path) or _ends_early(found))


def _ends_early(found: Found) -> str | None:
    missing = found.promised - found.end
    if missing <= max(SHORT_BY / found.info.average_rate, SHORT_PART * (found.promised - found.info.start)):
        return None
    return f"is cut short: it ends at {float(found.end):.2f} s of {float(found.promised):.2f} s"
