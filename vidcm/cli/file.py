"""`vidcm interpolate` of one video: the library's call, and what the videos of a folder share with it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidcm.cli.identity import Identity
from vidcm.cli.outcome import foretell, tell, tell_that_it_begins, tell_that_it_is_finished
from vidcm.core.devices import own_device
from vidcm.core.errors import WrongUse
from vidcm.core.processes import Processes
from vidcm.interpolation.estimate import Forecast
from vidcm.interpolation.journal import ANEW, GO_ON, Settings
from vidcm.interpolation.ledger import DOUBTFUL, Ledger
from vidcm.interpolation.progress import Progress
from vidcm.interpolation.reports import write_report
from vidcm.media.pipes import is_pipe

if TYPE_CHECKING:
    from vidcm.interpolation.done import Report
    from vidcm.interpolation.makers import Interpolator
    from vidcm.interpolation.shots import CutDetector

LOOKING = "looking ahead"


@dataclass(frozen=True)
class Shared:
    """What one command says of every video it makes."""

    how: Mapping[str, Any]  # see `asked.request`
    sampling: Mapping[str, Any]  # device, steps, seed, temperature
    model: Path | None
    options: Mapping[str, str]  # see `options_of`
    as_json: bool
    processes: Processes

    def absolute(self) -> "Shared":
        """For workers that start in a folder of their own."""
        return self if self.model is None else replace(self, model=self.model.absolute())

    def loader(self) -> "Callable[[], Interpolator]":
        """Gives the model, loaded at the first call."""

        @cache
        def loaded() -> "Interpolator":
            from vidcm.pipelines import Inbetweener, as_interpolator, calibration_of

            sampling = dict(self.sampling)
            device, calibration = own_device(sampling.pop("device"), self.processes), calibration_of(self.model)
            model = Inbetweener.load(self.model, device)
            return as_interpolator(model, **sampling, calibration=calibration)

        return loaded

    def _check_memory(self) -> None:
        """What the libraries of an accelerator hold in main memory is not known."""
        memory, device = self.how["memory"], self.sampling["device"]
        if memory is not None and own_device(device, self.processes).type != "cpu":
            raise WrongUse(
                f"--memory {memory.text} is for --device cpu, got {device}: give that, or leave --memory out"
            )

    def detector(self) -> "CutDetector | None":
        from vidcm.media.shots import CutDetector

        return CutDetector() if self.how["find_cuts"] else None

    def settings(self, source: Path, announced: bool = False) -> Settings:
        """What makes an output of `source` what it is, found out when first needed. announced: see `Identity`."""
        return cache(Identity(self.options, source, self.model, announced))

    def make(
        self,
        source: Path,
        target: Path,
        loaded: "Callable[[], Interpolator]",
        resume: str,
        settings: Settings | None = None,
        **more: Any,
    ) -> "Report":
        """resume, and more: see `interpolation.stream.interpolate_file`."""
        from vidcm.interpolation.lazily import Lazily
        from vidcm.interpolation.stream import interpolate_file
        from vidcm.media.info import MediaWarning

        progress = Progress(self.as_json)
        more |= {"progress": progress, "survey_progress": Progress(self.as_json, LOOKING)}
        more |= {"forecast": Forecast(partial(foretell, target, progress))}
        if not (is_pipe(source) or is_pipe(target)):
            begun = partial(tell_that_it_begins, target, self.as_json)
            more |= {"settings": settings or self.settings(source), "resume": resume, "begun": begun}
        how = {name: value for name, value in self.how.items() if name != "find_cuts"}
        self._check_memory()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MediaWarning)  # the report has them
                found = self.detector()
                return interpolate_file(source, target, interpolator=Lazily(loaded), detector=found, **how, **more)
        finally:
            progress.close()


def interpolate_video(source: Path, target: Path, shared: Shared, reports: tuple[Path, ...], resume: bool) -> None:
    from vidcm.interpolation.finished import is_finished, note

    doubt, processes = shared.how["doubt"], shared.processes
    settings = shared.settings(source, announced=resume and not shared.as_json)
    if resume and is_finished(target, settings, reports):
        if processes.is_first:
            tell_that_it_is_finished(target, shared.as_json)
        return
    with Ledger(DOUBTFUL if doubt is None else doubt.least) as ledger:
        told = {"ledger": ledger if reports else None, "processes": processes, "settings": settings}
        done = shared.make(source, target, shared.loader(), GO_ON if resume else ANEW, **told)
        for report in reports if processes.is_first else ():
            write_report(report, done.as_dict(), ledger)
    if processes.is_first:
        if target.is_file() and not is_pipe(source):
            note(target, settings, reports)
        tell(done, shared.as_json)
