"""What makes an output what it is, by the names of the options: what `--resume` compares."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from vidcm import __version__
from vidcm.core.shipped import shipped

# Where it is made and written, and what is said of it; the model and IN count by their content.
NO_MATTER = (
    "source",
    "target",
    "model",
    "device",
    "memory",  # what an encoder is told for it counts: see `interpolation.stream`
    "place",
    "workers",
    "reports",
    "suffix",
    "reroll",
    "resume",
    "as_json",
)

LARGE = 2**29  # bytes of IN that are read in a second or more


@dataclass(frozen=True)
class Identity:
    """Called when it is first needed: hashes are slow, and torch is there by then. options: see `options_of`;
    announced: whether a large IN is said to be read through, where somebody waits for it."""

    options: Mapping[str, str]
    source: Path
    model: Path | None
    announced: bool = False

    def __call__(self) -> dict[str, str]:
        import av

        from vidcm.data.arrays import file_digest, text_digest
        from vidcm.media.sequence import ImageSequence

        codecs = ".".join(map(str, av.library_versions["libavcodec"]))
        files = self.source.files if isinstance(self.source, ImageSequence) else [self.source]
        size = sum(file.stat().st_size for file in files)
        if self.announced and size >= LARGE and sys.stderr.isatty():
            click.echo(f"{self.source}: is read through, {size / 2**30:.1f} GiB, to see that it is the same", err=True)
        return {
            "IN": _short(text_digest(" ".join(map(file_digest, files)))),
            **self.options,
            "--model": _short(model_digest(self.model or shipped("motion"))),
            "vidcm": __version__,
            "libavcodec": codecs,
        }


def options_of(ctx: click.Context) -> dict[str, str]:
    """Option -> value, as text. A file counts by what it says; of reports, whether there are any."""
    told = {_name(param): ctx.params[param.name] for param in ctx.command.params if param.name not in NO_MATTER}
    found = {name: _text(value) for name, value in told.items()}
    cuts = Path(ctx.params["cuts"])
    if ctx.params["cuts"] not in ("auto", "off"):
        from vidcm.data.arrays import text_digest

        found["--cuts"] = _short(text_digest(cuts.read_text(encoding="utf-8", errors="replace")))
    return {**found, "--report": "given" if ctx.params["reports"] else "not given"}


def model_digest(folder: Path) -> str:
    """A hash of all that a model directory says and weighs."""
    from vidcm.data.arrays import file_digest, text_digest

    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json"))
    return text_digest("\n".join(f"{path.relative_to(folder).as_posix()} {file_digest(path)}" for path in files))


def _name(param: click.Parameter) -> str:
    return max(param.opts, key=len)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "given" if value else "not given"
    return str(value)


def _short(digest: str) -> str:
    """As much of a hash as a person reads."""
    return digest[:12]
