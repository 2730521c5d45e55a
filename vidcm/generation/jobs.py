"""What is to be made: one job, or a manifest with one on each line. Imports nothing heavy."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidcm.core.errors import UserError, WrongUse
from vidcm.core.size import pixels_of
from vidcm.settings import as_mapping, from_mapping

FITS = ("crop", "pad")
SAMPLERS = ("consistency", "ode")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
RESERVED = "summary"
GENERATING = "--model DIR with a diffusers directory of Wan, LTX-Video or CogVideoX"
LARGEST_SEED = 2**63 - 1
LEAST_SIDE = 32  # pixels; below, no model has anything to see


@dataclass(frozen=True)
class Job:
    """One clip. None: what is usual for the model.

    image, last_image: first and last frame. size: WxH in pixels. fit: what is done to an image of another aspect.
    guidance_2: scale of a second network.
    """

    prompt: str | None = None
    negative_prompt: str | None = None
    image: str | None = None
    last_image: str | None = None
    num_frames: int | None = None
    size: str | None = None
    fps: Fraction | None = None
    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    guidance_2: float | None = None
    temperature: float | None = None
    seed: int = 0
    fit: str = "crop"
    name: str | None = None

    @property
    def pixels(self) -> tuple[int, int] | None:
        """Height and width."""
        return pixels_of(self.size)

    def images(self) -> dict[str, str]:
        """Field -> path of those that are given."""
        return {key: path for key, path in (("image", self.image), ("last_image", self.last_image)) if path is not None}

    def said(self) -> dict[str, Any]:
        """The fields that say something, for JSON."""
        values = {each.name: as_mapping(getattr(self, each.name)) for each in fields(self)}
        return {key: value for key, value in values.items() if value is not None}


def check(job: Job) -> Job:
    """The job itself. Raises UserError for values that no model can make a clip of."""
    for key, path in job.images().items():
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", path):
            raise WrongUse(f"{key} {path!r} is a URL: download it and give the file")
    if job.pixels is not None and min(job.pixels) < LEAST_SIDE:
        raise WrongUse(f"size must be at least {LEAST_SIDE}x{LEAST_SIDE}, got {job.size}")
    choices = {"fit": FITS, "sampler": (None, *SAMPLERS)}
    for key, known in choices.items():
        if (value := getattr(job, key)) not in known:
            raise WrongUse(f"{key} must be one of {', '.join(filter(None, known))}, got {value!r}")
    lowest = {"num_frames": 1, "steps": 1, "guidance": 0, "guidance_2": 0, "temperature": 0}
    for key, low in lowest.items():
        value = getattr(job, key)
        if value is not None and not (low <= value and math.isfinite(value)):
            raise WrongUse(f"{key} must be at least {low}, got {value}")
    if job.fps is not None and not 0 < job.fps <= 1000:
        raise WrongUse(f"fps must be above 0 and at most 1000, got {job.fps}")
    if not 0 <= job.seed <= LARGEST_SEED:
        raise WrongUse(f"seed must be 0 to 2^63 - 1, got {job.seed}")
    if job.name is not None and (not NAME.fullmatch(job.name) or job.name == RESERVED):
        raise WrongUse(
            f"name {job.name!r} cannot name a file: use up to 120 letters, digits, '.', '_' and '-', not {RESERVED!r}"
        )
    return job


@dataclass(frozen=True)
class Line:
    """A job of a manifest. number: of its line, from 1; key: of its results; image paths are absolute."""

    number: int
    key: str
    job: Job


def read_manifest(path: Path, defaults: Mapping[str, Any]) -> list[Line]:
    """The jobs of a JSONL file, a JSON object a line; empty lines are skipped, a line that says a job again too.

    defaults: fields for lines that do not name them. Image paths are relative to the manifest, and stay in its folder.
    Raises UserError naming the line.
    """
    try:
        texts = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUse(f"cannot read the manifest {path}: {getattr(error, 'strerror', None) or error}") from error
    lines: dict[str, Line] = {}
    for number, text in enumerate(texts, start=1):
        if not text.strip():
            continue
        try:
            job = check(from_mapping(Job, {**defaults, **_mapping(text)}))
            job = _placed(job, path.absolute().parent)
        except UserError as error:
            raise UserError(f"{path}, line {number}: {error}") from error
        key = key_of(job)
        before = lines.setdefault(key.casefold(), Line(number, key, job))
        if before.number != number and digest(before.job) != digest(job):
            raise UserError(f"{path}, line {number}: the name {key} is that of line {before.number}: choose another")
    if not lines:
        raise UserError(f'{path} holds no job: write one JSON object a line, such as {{"prompt": "a red ball"}}')
    return list(lines.values())


def _mapping(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f'is not JSON ({error}): write one object a line, such as {{"prompt": "a ball"}}') from error
    if not isinstance(value, dict):
        raise UserError(f"must be a JSON object, got {json.dumps(value)[:40]}")
    return value


def _placed(job: Job, folder: Path) -> Job:
    """With absolute image paths, all of them in the manifest's folder."""
    found = {}
    for key, path in job.images().items():
        place = (folder / path).resolve()
        if Path(path).is_absolute() or not place.is_relative_to(folder.resolve()):
            raise UserError(f"{key} {path!r} leaves the manifest's folder: put the file, or the manifest, elsewhere")
        found[key] = str(place)
    return replace(job, **found)


def key_of(job: Job) -> str:
    """The name of a job's results: its own, or what its settings hash to, which is the same on every run."""
    if job.name is not None:
        return job.name
    words = re.sub(r"[^a-z0-9]+", "-", (job.prompt or "clip").lower()).strip("-")[:40].rstrip("-")
    return f"{words or 'clip'}-{digest(job)[:10]}"


def digest(job: Job, *more: str) -> str:
    """A hash of what is made, whatever it is called: settings, the pictures' own bytes, and `more`."""
    beside = ("name", "image", "last_image")
    settings = {field.name: as_mapping(getattr(job, field.name)) for field in fields(job) if field.name not in beside}
    pictures = {key: _content(Path(path)) for key, path in job.images().items()}
    text = json.dumps([settings, pictures, *more], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _content(path: Path) -> str:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return "missing"
