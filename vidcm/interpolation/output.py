"""What a file is written as, decided before the long read, and the writer that does it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidcm.interpolation.budget import AS_USUAL
from vidcm.interpolation.footprint import Way
from vidcm.interpolation.job import Job, tick_of
from vidcm.interpolation.journal import GO_ON, Journal, Settings
from vidcm.interpolation.plan import Rule
from vidcm.media.choice import Choice
from vidcm.media.hardware import named
from vidcm.media.pace import Pace
from vidcm.media.writer import VideoWriter


@dataclass(frozen=True)
class Output:
    """codec, quality, encoder: as asked for; choice: what was made of them, or refused, as the writer would."""

    target: Path
    rule: Rule
    codec: str | None
    quality: str | None
    encoder: str
    choice: Choice
    pace: Pace
    way: Way = AS_USUAL

    @property
    def options(self) -> Mapping[str, str]:
        """What the encoder is told."""
        return self.way.options(self.choice.encoder)

    def remarks(self, resume: str) -> Iterator[str]:
        """What is worth knowing of the encoder."""
        name = self.choice.encoder.name
        if resume == GO_ON and named(name):
            yield f"{name} is hardware: the same pictures need not be the same bytes"
        if self.choice.remark:
            yield self.choice.remark

    def told(self, settings: Settings | None) -> Settings | None:
        """The settings, and the encoder that was found: pictures of two do not fit together in a file, nor do those of
        one that was told otherwise."""
        if settings is None:
            return None
        options = " ".join(f"{name}={value}" for name, value in self.options.items()) or "as usual"
        return lambda: {**settings(), "encoder": self.choice.encoder.name, "its options by --memory": options}

    def writer(self, job: Job, journal: Journal) -> VideoWriter:
        info = job.info
        return VideoWriter(
            self.target,
            info,
            time_base=tick_of(info, self.rule),
            rate=self.rule.output_rate(info.average_rate),
            codec=self.codec,
            quality=self.quality,
            encoder=self.encoder,
            options=self.options,
            copy_from=info.path,
            window=job.window,
            pace=self.pace,
            grow_in=journal.folder,
        )
