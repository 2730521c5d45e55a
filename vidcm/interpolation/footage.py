"""The source frames of a job on their way to the planner: mended where that is asked for, and watched for overlays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

from vidcm.interpolation.job import Job, Progress
from vidcm.interpolation.mending import Mending
from vidcm.interpolation.overlays import Overlays, frames_before, no_past
from vidcm.interpolation.rendered import Tally
from vidcm.interpolation.works import Planner
from vidcm.media.interlace import whole_pictures
from vidcm.media.reader import VideoFrame, VideoReader


@dataclass(frozen=True)
class Footage:
    """job, planner: with what was found ahead; frames: of the job, to be read once; tally: of them, kept as they go by;
    still: has watched them, where overlays are looked for."""

    job: Job
    planner: Planner
    frames: Iterator[VideoFrame]
    tally: Tally
    still: Overlays | None

    def overlays(self, origin: Fraction) -> list[dict[str, Any]]:
        """All that were seen so far, for a report. origin: instant of the first frame of the file."""
        return [] if self.still is None else [each.as_dict() for each in self.still.found(origin)]


def footage_of(
    reader: VideoReader,
    job: Job,
    planner: Planner,
    *,
    interlaced: str,
    repair: frozenset[str],
    overlays: bool,
    progress: Progress,
) -> Footage:
    """progress: called with the frames looked at ahead so far and those expected. The rest: see `interpolate_file`."""
    tally, still = Tally(), None
    if repair:
        mending = Mending(reader, repair, interlaced, job.begin, job.stop)
        seen = mending.look_ahead(planner.detector, planner.cuts, progress)
        planner = replace(planner, detector=None, cuts=seen.cuts, retiming=seen.retiming)
        job = job.mended(mending, seen)
    planner = replace(planner, origin=reader.info.start, number=job.number)
    frames = whole_pictures(job.frames, job.info, interlaced, reader.problems)
    if repair:
        frames = mending.filled(frames, tally.filled)
    if overlays:
        still = Overlays(job.begin, job.stop)
        past = no_past if job.begin is None else partial(frames_before, reader.info, interlaced, reader.threads)
        frames, planner = still.watch(frames, job.lead_in, past), replace(planner, overlays=still)
    return Footage(job, planner, frames, tally, still)
