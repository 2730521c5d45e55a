"""Whether a model can make the clip of a job, as far as its folder tells: before torch is there, or a weight is read.

What depends on more is refused when the clip is made.
"""

from pathlib import Path

from vidcm.core.errors import WrongUse
from vidcm.core.shipped import shipped
from vidcm.families.grids import grid_of, has_two_networks
from vidcm.generation.jobs import Job
from vidcm.generation.shipped import check_frames, chosen, named


def check_fits(job: Job, model: Path | None) -> None:
    """Raises WrongUse naming the nearest clip that can be. model: a folder, or the name of a shipped one; None: the
    shipped one that fits the job."""
    name = chosen(job) if model is None else named(model)
    if name == "motion":
        check_frames(job)
        return
    folder = model if name is None and model is not None else shipped("clip")
    grid = grid_of(folder)
    if grid is not None:
        grid.check(job.num_frames or 1, *(job.pixels or (grid.side, grid.side)))
    check_networks(job, has_two_networks(folder) is not False)


def check_networks(job: Job, are_two: bool) -> None:
    if job.guidance_2 is not None and not are_two:
        raise WrongUse(
            f"--guidance-2 is for a model of two networks, and this one has one: got {job.guidance_2:g}, leave it out"
        )
