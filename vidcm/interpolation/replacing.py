"""Pictures of a finished output replaced: the stretch that they are coded in is encoded again, the rest copied."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Any

from av.packet import Packet

from vidcm.core.errors import UserError
from vidcm.interpolation.batch import record_of
from vidcm.interpolation.differing import Difference, difference, overall
from vidcm.media.alpha import alpha_of
from vidcm.media.info import VideoInfo
from vidcm.media.names import has_alpha
from vidcm.media.place import discard, publish
from vidcm.media.splice import (
    Coded,
    as_encoded,
    check_alike,
    coded,
    packets_of,
    pictures_of,
    stamps_of,
    stretch_of,
)
from vidcm.media.writer import VideoWriter
from vidcm.work.batch import recorded

if TYPE_CHECKING:
    from vidcm.interpolation.rendered import Shown


@dataclass(frozen=True)
class Rerolled:
    """Times in seconds on the output's clock. frames_made: new pictures, which differ so much from those before them;
    frames_encoded: with those encoded again."""

    target: str
    frames_made: int
    differs: Difference
    start_s: float
    end_s: float
    frames_encoded: int
    encoded_from_s: float
    encoded_to_s: float


@dataclass(frozen=True)
class Stretch:
    """What of an output is encoded again. file: all that is coded in it; places: there; ticks: pts in the file -> in
    ticks of the encoder; new: pictures in place of those at such ticks."""

    info: VideoInfo
    file: list[Coded]
    places: range
    ticks: Mapping[int, int]
    new: "Mapping[int, Shown]"

    @property
    def shown_at(self) -> list[int]:
        """pts at those places."""
        return [packet.pts for packet in self.file[self.places.start : self.places.stop]]

    @property
    def end(self) -> int:
        """pts of what comes behind them."""
        behind = (packet.pts for packet in self.file[self.places.stop :])
        return min(behind, default=max(self.shown_at) + self.file[-1].duration)

    def following(self) -> dict[int, int]:
        """pts at those places -> of what is shown next."""
        shown_at = sorted(self.shown_at)
        return dict(zip(shown_at, [*shown_at[1:], self.end], strict=True))


def replace_pictures(
    info: VideoInfo, shown: "dict[Fraction, Shown]", *, time_base: Fraction, rate: Fraction | None, **how: Any
) -> Rerolled:
    """info: of the output; shown: what it shows from when on, seconds; time_base, rate, how: of its encoder. Raises
    UserError where it has no pictures then, and leaves it as it was."""
    target, stretch = info.path, _stretch_for(info, shown, time_base)
    file, places, aside = stretch.file, stretch.places, target.with_name(f".{target.stem}.reroll{target.suffix}")
    how |= {"time_base": time_base, "rate": rate or info.average_rate}
    try:
        with VideoWriter(aside, info, copy_from=target, **how) as writer:
            packets, differs = _encoded(writer, stretch)
            coded_anew = [Coded(packet.pts or 0, 0, packet.is_keyframe) for packet in packets]
            stamps = stamps_of([*file[: places.start], *coded_anew, *file[places.stop :]])
            before, behind = (
                as_encoded(packets_of(info, range(*copied)), info)
                for copied in ((0, places.start), (places.stop, len(file)))
            )
            writer.join(stamps, chain(before, packets, behind))
        check_alike(aside, target)
        with recorded(record_of(target), target):
            publish(target, aside)
    finally:
        discard(aside)
    return Rerolled(
        target=str(target),
        frames_made=len(stretch.new),
        differs=differs,
        start_s=float(min(shown)),
        end_s=float(max(shown)),
        frames_encoded=len(packets),
        encoded_from_s=float(min(stretch.shown_at) * info.time_base),
        encoded_to_s=float(stretch.end * info.time_base),
    )


def _stretch_for(info: VideoInfo, shown: "dict[Fraction, Shown]", tick: Fraction) -> Stretch:
    file = coded(info)
    ticks = {packet.pts: round(info.clock.exact(packet.pts * info.time_base) / tick) for packet in file}
    new = {round(instant / tick): picture for instant, picture in shown.items()}
    wanted = {pts for pts, at in ticks.items() if at in new}
    if len(wanted) < len(new):
        raise UserError(
            f"{info.path}: has no pictures where this command would make them: give the IN, and the --factor, --fps or "
            "--slow-motion it was made with"
        )
    return Stretch(info, file, stretch_of(file, wanted), ticks, new)


def _encoded(writer: VideoWriter, stretch: Stretch) -> tuple[list[Packet], Difference]:
    """The stretch encoded again, and how much the new pictures differ from the old. The packets are on the clock of the
    file, rounded as it is."""
    info, ticks, new, following = stretch.info, stretch.ticks, stretch.new, stretch.following()
    pictures, packets, differences = writer.encoding.pictures(), [], []
    for native in pictures_of(info, stretch.places):
        pts = native.pts or 0
        at, next_at = ticks[pts], round(info.clock.exact(following[pts] * info.time_base) / writer.time_base)
        picture = writer.encoding.picture(new[at]) if at in new else native
        if at in new:
            both = native, picture
            covers = [alpha_of(each) for each in both if has_alpha(each.format.name)]
            differences.append(difference(*map(writer.encoding.converter.to_rgb, both), covers))
        packets += pictures.encode(picture, at, max(1, next_at - at))
    packets += pictures.finish()
    in_file = {at: pts for pts, at in ticks.items()}
    for packet in packets:
        pts = in_file[packet.pts or 0]
        packet.pts, packet.duration, packet.time_base = pts, following[pts] - pts, info.time_base
    return packets, overall(differences)
