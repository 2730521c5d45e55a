"""The models in the package by name, and which of them makes a job when none is asked for. Imports nothing heavy.

motion    what lies between two images, at their own size; of one image, a little of what comes after it
clip      small clips from any frames: what comes after an image, what leads to one, or anything at all
"""

from pathlib import Path

from vidcm.core.errors import WrongUse
from vidcm.generation.jobs import GENERATING, Job

MODELS = ("motion", "clip")
SPAN = 8  # frames: as far ahead of an image as the motion model was trained to see
BETWEEN = 17  # frames that the motion model makes where nobody says otherwise, with both ends


def named(model: Path | None) -> str | None:
    """The shipped model that --model names; None for a folder."""
    return str(model) if model is not None and str(model) in MODELS else None


def chosen(job: Job) -> str:
    """The model for a job of which nothing is said: pictures of full size where there are two images."""
    return "motion" if len(job.images()) == 2 else "clip"


def check_shipped(job: Job, name: str | None = None) -> None:
    """Raises UserError for a job that a shipped model cannot do. name: of the model; None: chosen by the job."""
    if job.prompt is not None or job.negative_prompt is not None:
        raise WrongUse(f"the shipped models read no text: leave the prompt out, or give {GENERATING}")
    name = name or chosen(job)
    if name == "motion" and not job.images():
        raise WrongUse("the shipped motion model goes by images: give --image, or choose --model clip")
    if name == "motion" and job.image is None:
        raise WrongUse("the shipped motion model wants a first image: give --image, or choose --model clip")
    for key in ("sampler", "guidance", "guidance_2") if name == "motion" else ():
        if getattr(job, key) is not None:
            raise WrongUse(f"the shipped motion model has no {key}: leave it out, or choose --model clip")
    if name == "clip" and job.guidance not in (None, 1):
        raise WrongUse(f"the shipped clip model has no guidance: leave it out or give 1, got {job.guidance:g}")


def check_frames(job: Job) -> int:
    """The number of frames that the motion model makes of a job. Raises WrongUse for one that it cannot make."""
    usual, least = (BETWEEN, 3) if len(job.images()) == 2 else (SPAN, 2)
    frames = job.num_frames or usual
    if frames < least:
        raise WrongUse(f"num_frames must be at least {least} for this model and images, got {frames} (try {usual})")
    if len(job.images()) == 1 and frames > SPAN:
        raise WrongUse(
            f"the motion model sees {SPAN} frames ahead of one image, got num_frames {frames}: take fewer, give a "
            "last image, or choose --model clip"
        )
    return frames
