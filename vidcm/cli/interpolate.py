"""`vidcm interpolate`: add frames to a video. Arguments are judged before torch is imported or a model is read."""

import signal
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vidcm.cli.identity import Identity, options_of
from vidcm.cli.options import DEVICE, PLACE, PLACE_HELP, WORKERS_HELP, Temperature, check_place
from vidcm.cli.outcome import foretell, tell
from vidcm.cli.reroll import check_reroll, parse_reroll, run_reroll
from vidcm.core.devices import own_device
from vidcm.core.errors import UserError
from vidcm.core.processes import ALONE, Processes, launched
from vidcm.interpolation.check import check_model, check_paths, check_report
from vidcm.interpolation.cuts import Cuts, read_cuts
from vidcm.interpolation.doubt import FALLBACKS, Doubt
from vidcm.interpolation.estimate import Forecast
from vidcm.interpolation.journal import ANEW, GO_ON, IF_IT_FITS
from vidcm.interpolation.ledger import DOUBTFUL, Ledger
from vidcm.interpolation.plan import Rule, parse_factor, parse_rate
from vidcm.interpolation.progress import Progress
from vidcm.interpolation.repair import NOTHING, parse_repair
from vidcm.interpolation.reports import write_report
from vidcm.interpolation.slow_motion import parse_slow_motion
from vidcm.interpolation.span import parse_preview, parse_range
from vidcm.interpolation.tree import check_codecs, check_folders, parse_suffix, videos_below
from vidcm.media.encoders import ENCODERS, QUALITIES, check_codec
from vidcm.media.pace import SOUNDS, STRETCH
from vidcm.media.pipes import is_pipe
from vidcm.media.sequence import find_sequence, is_sequence

T = TypeVar("T")
LOOKING = "looking ahead"

if TYPE_CHECKING:
    from vidcm.interpolation.batch import Make
    from vidcm.interpolation.render import CutDetector, Interpolator
    from vidcm.interpolation.stream import Report


@click.command("interpolate", short_help="Add frames to a video: a higher rate.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="To write: .mp4, .mov, .mkv, .webm, .y4m, f_%04d.png; - is a pipe. A folder where IN is one.",
)
@click.option("--factor", metavar="N", help="Frames per source frame, 2 to 64; 5/2 keeps every second one.")
@click.option("--fps", metavar="RATE", help="Constant output rate: 60, 23.976, 24000/1001.")
@click.option(
    "--input-fps",
    metavar="RATE",
    help="Of numbered pictures: IN is a folder of them, or a pattern such as shots/f_%04d.png.",
)
@click.option(
    "--slow-motion",
    "slower",
    metavar="N",
    help="N times as long, such as 2 or 2.5, at IN's own rate or that of --fps.",
)
@click.option(
    "--sound",
    type=click.Choice(SOUNDS),
    help="In slow motion: stretch it, its pitch kept, or drop it.  [default: stretch]",
)
@click.option(
    "--steps", default=2, show_default=True, type=click.IntRange(0, 100), help="Network steps; 0: motion estimate only."
)
@click.option("--seed", default=0, show_default=True, help="Another seed, another take on what the ends leave open.")
@click.option("--temperature", type=Temperature(), help="Scale of the noise.  [default: stored with the model]")
@click.option("--model", type=click.Path(path_type=Path), help="Model directory.  [default: the shipped one]")
@click.option("--device", default="auto", show_default=True, type=DEVICE, help="What the model runs on.")
@click.option(
    "--cuts",
    default="auto",
    show_default=True,
    metavar="auto|off|FILE",
    help="Blend nothing across hard cuts: found, or read from a list of times, an EDL or PySceneDetect's CSV.",
)
@click.option(
    "--at-cuts",
    default="continue",
    show_default=True,
    type=click.Choice(("continue", "hold")),
    help="In-betweens next to a cut: the shot goes on moving as it did, or the nearer frame is held.",
)
@click.option(
    "--codec",
    type=click.Choice(list(ENCODERS)),
    help="Codec of the pictures; ffv1 is lossless.  [default: what OUT's players know, at IN's bit depth]",
)
@click.option("--quality", type=click.Choice(QUALITIES), help="Quality of the pictures.  [default: high]")
@click.option(
    "--range",
    "span",
    metavar="A-B",
    help="Only this part, from the frame shown at A: seconds or HH:MM:SS.mmm; 90- is to the end.",
)
@click.option(
    "--preview",
    metavar="TIME",
    help="Only so much, such as 5s, beside the source frames held: the middle of IN, or where --range begins.",
)
@click.option(
    "--interlaced",
    default="refuse",
    show_default=True,
    type=click.Choice(("refuse", "deinterlace", "ignore")),
    help="What to do with pictures of two moments each; ignore it where a file only says so.",
)
@click.option("--allow-truncated", is_flag=True, help="Take what is there of a file that is cut short.")
@click.option(
    "--repair",
    metavar="WHAT,...",
    help="Put in-betweens in the place of duplicates (animation on twos, 24 fps shown at 30), dropped or damaged "
    "frames; all is all three.",
)
@click.option(
    "--report",
    "reports",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Write what was done, frame by frame: JSON; .html a page with the least sure frames; .edl markers there.",
)
@click.option(
    "--min-confidence",
    metavar="X",
    type=float,
    help="Do not show in-betweens that score less, 0 to 1; reports then mark those.",
)
@click.option(
    "--fallback",
    type=click.Choice(FALLBACKS),
    help="What is shown instead: the nearer source frame, or a cross-fade.  [default: hold]",
)
@click.option(
    "--reroll",
    metavar="TIME",
    help="Make what OUT shows there again, between two source frames: needs --seed.",
)
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same command.")
@click.option("--suffix", metavar=".EXT", help="Of a folder's outputs, such as .mp4.  [default: each input's own]")
@click.option("--on", "place", default="here", show_default=True, type=PLACE, help=PLACE_HELP)
@click.option("--workers", metavar="N", type=click.IntRange(min=1), help=WORKERS_HELP)
@click.option("--json", "as_json", is_flag=True, help="JSON events on stdout, one a line.")
@click.pass_context
def command(
    ctx: click.Context,
    source: Path,
    target: Path,
    factor: str | None,
    fps: str | None,
    input_fps: str | None,
    slower: str | None,
    sound: str | None,
    model: Path | None,
    cuts: str,
    at_cuts: str,
    codec: str | None,
    quality: str | None,
    span: str | None,
    preview: str | None,
    interlaced: str,
    allow_truncated: bool,
    repair: str | None,
    reports: tuple[Path, ...],
    min_confidence: float | None,
    fallback: str | None,
    reroll: str | None,
    resume: bool,
    suffix: str | None,
    place: str,
    workers: int | None,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Add frames to IN. Sound, colour, timing of cuts and duration stay; an OUT that is there is replaced.

    If IN is a folder, so is OUT: it gets every video of IN, in the same tree. Run again, it keeps what is finished.
    With --input-fps, IN is numbered pictures: shots/f_%04d.png, or their folder.

    One of --factor, --fps and --slow-motion says how many: `--factor 2`, `--fps 60`, `--slow-motion 4`. With a whole
    factor every source frame is kept, at its own instant, and goes to the encoder as it was decoded.
    """
    rule = _check(_rule, factor, fps, slower)
    if sound is not None and slower is None:
        raise click.UsageError(f"--sound {sound} says what slow motion does to it: give --slow-motion too")
    source = _check(_source, source, input_fps)
    if source.is_dir():
        check_folders(source, target)
        _refuse_single(reports, preview, cuts, resume)
    else:
        check_paths(source, target, resume)
    if reroll is not None:
        check_reroll(ctx, source, target)
    again_at = None if reroll is None else _check(parse_reroll, reroll)
    part = None if span is None else _check(parse_range, span)
    length = None if preview is None else _check(parse_preview, preview)
    known = _known_cuts(cuts)
    if not source.is_dir():
        _check(check_codec, target, codec, quality)
    check_model(model)
    doubt = _check(_doubt, min_confidence, fallback)
    for report in reports:
        check_report(report, source, target)
    if len({report.absolute() for report in reports}) < len(reports):
        raise click.UsageError("two reports have the same name: give each its own")
    how: dict[str, Any] = {"rule": rule, "codec": codec, "quality": quality, "span": part, "doubt": doubt}
    how |= {"sound": sound or STRETCH, "interlaced": interlaced, "find_cuts": cuts == "auto", "cuts": known}
    how |= {"at_cuts": at_cuts}
    how |= {"preview": length, "allow_truncated": allow_truncated}
    how |= {"repair": NOTHING if repair is None else _check(parse_repair, repair)}
    check_place(place, workers, None if source.is_dir() else "a folder")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # being ended tidies up like Ctrl-C
    if source.is_dir():
        on_ray = {"workers": workers, "device": sampling["device"]} if place == "ray" else None
        _folder(ctx, source, target, suffix, model, as_json, how, sampling, on_ray)
        return
    if suffix is not None:
        raise click.UsageError(f"--suffix {suffix} is for a folder: end the name of the output in it")
    _check(_check_pipes, source, target, as_json, resume or again_at is not None)
    progress, processes = Progress(as_json), launched()
    interpolator = lazily(_loader(model, processes=processes, **sampling))
    if again_at is not None:
        if processes.count > 1:
            raise click.UsageError("--reroll is for one process: start it without torchrun")
        names = ("rule", "codec", "quality", "doubt", "find_cuts", "cuts", "at_cuts", "interlaced")
        kept = {name: how[name] for name in names}
        run_reroll(source, target, again_at, interpolator, as_json, detector=_detector, **kept)
        return
    with Ledger(DOUBTFUL if doubt is None else doubt.least) as ledger:
        try:
            told = ledger if reports else None
            how |= {"progress": progress, "survey_progress": Progress(as_json, LOOKING)}
            how |= {"forecast": Forecast(partial(foretell, target, progress))}
            how |= {"processes": processes}
            if not (is_pipe(source) or is_pipe(target)):
                how |= {"settings": Identity(options_of(ctx), source, model), "resume": GO_ON if resume else ANEW}
            done = _run(source, target, interpolator=interpolator, ledger=told, **how)
        finally:
            progress.close()
        for report in reports if processes.is_first else ():
            write_report(report, done.as_dict(), ledger)
    if processes.is_first:
        tell(done, as_json)


def _source(source: Path, input_fps: str | None) -> Path:
    """What IN means, with the rate of numbered pictures."""
    if input_fps is not None and not is_sequence(source):
        raise UserError(f"--input-fps {input_fps} is for numbered pictures, which {source} is not: leave it out")
    if input_fps is not None:
        return find_sequence(source, parse_rate(input_fps, "--input-fps").rate)
    if not source.is_dir() and is_sequence(source):
        raise UserError(f"{source} holds no times: say how many pictures a second there are with --input-fps")
    return source


def _check_pipes(source: Path, target: Path, as_json: bool, again: bool) -> None:
    if is_pipe(target) and as_json:
        raise UserError("--json writes where the pictures go, to standard output: leave it out, or name a file with -o")
    if (is_pipe(source) or is_pipe(target)) and launched().count > 1:
        raise UserError("what is piped goes through one process: start the command once, without torchrun")
    if (is_pipe(source) or is_pipe(target)) and again:
        raise UserError("what is piped cannot be gone on with: leave --resume and --reroll out, or name files")


def _refuse_single(reports: tuple[Path, ...], preview: str | None, cuts: str, resume: bool) -> None:
    """What says something of one video has no place where there are many."""
    if reports:
        raise click.UsageError(f"--report {reports[0]} is for one video: OUT/summary.json tells of each in a folder")
    if preview is not None:
        raise click.UsageError("--preview is for one video: name one of the folder")
    if resume:
        raise click.UsageError("--resume is for one video: a folder goes on by itself where it was interrupted")
    if cuts not in ("auto", "off"):
        raise click.UsageError(f"--cuts {cuts} is for one video: give auto or off, or name one of the folder")


def _folder(
    ctx: click.Context,
    source: Path,
    target: Path,
    suffix: str | None,
    model: Path | None,
    as_json: bool,
    how: dict[str, Any],
    sampling: dict[str, Any],
    on_ray: dict[str, Any] | None,
) -> None:
    """how: see `_run`; sampling: see `_loader`; on_ray: see `interpolate_folder`."""
    if on_ray is not None:  # workers start in a folder of their own
        source, target, model = source.absolute(), target.absolute(), None if model is None else model.absolute()
    videos = videos_below(source, target, None if suffix is None else _check(parse_suffix, suffix))
    _check(check_codecs, videos, how["codec"], how["quality"])
    processes = launched()

    options = options_of(ctx)

    def load() -> "Make":
        loaded = _loader(model, processes=processes, **sampling)
        loaded()
        return partial(_one_of_many, loaded, as_json, how, options, model)

    from vidcm.cli.folder import interpolate_folder

    settings = {name: repr(value) for name, value in {**how, **sampling}.items() if name != "device"}
    if interpolate_folder(videos, target, load, settings, model, processes, as_json, on_ray):
        ctx.exit(2)


def _one_of_many(
    loaded: "Callable[[], Interpolator]",
    as_json: bool,
    how: dict[str, Any],
    options: dict[str, str],
    model: Path | None,
    source: Path,
    target: Path,
) -> dict[str, Any]:
    """A run that was interrupted in it goes on."""
    progress = Progress(as_json)
    try:
        forecast = Forecast(partial(foretell, target, progress))
        here = {"progress": progress, "survey_progress": Progress(as_json, LOOKING), "forecast": forecast}
        here |= {"settings": Identity(options, source, model), "resume": IF_IT_FITS}
        return _run(source, target, interpolator=lazily(loaded), **here, **how).as_dict()
    finally:
        progress.close()


def _check(judge: Callable[..., T], *values: Any) -> T:
    """What `judge` makes of option values; what it refuses is wrong use."""
    try:
        return judge(*values)
    except UserError as error:
        raise click.UsageError(str(error)) from error


def _rule(factor: str | None, fps: str | None, slower: str | None) -> Rule:
    if factor is not None and slower is not None:
        raise click.UsageError(
            f"--factor {factor} and --slow-motion {slower} both say how many frames: give one of them, or --fps with "
            "--slow-motion"
        )
    if slower is not None:
        return parse_slow_motion(slower, None if fps is None else parse_rate(fps).rate)
    if factor is not None and fps is not None:
        raise click.UsageError(f"--factor {factor} and --fps {fps} both say how many frames: give one of them")
    if factor is not None:
        return parse_factor(factor)
    if fps is not None:
        return parse_rate(fps)
    raise click.UsageError("say how many frames: --factor (such as 2), --fps (such as 60) or --slow-motion (such as 4)")


def _doubt(min_confidence: float | None, fallback: str | None) -> Doubt | None:
    if min_confidence is None and fallback is not None:
        raise click.UsageError(f"--fallback {fallback} says what is shown below --min-confidence: give that too")
    return None if min_confidence is None else Doubt(min_confidence, fallback or FALLBACKS[0])


def _known_cuts(cuts: str) -> Cuts | None:
    if cuts in ("auto", "off"):
        return None
    if not Path(cuts).is_file():
        raise click.UsageError(f"--cuts {cuts}: give auto, off or a file that is there")
    return read_cuts(Path(cuts))


def _run(source: Path, target: Path, *, find_cuts: bool, **how: Any) -> "Report":
    """how: see `interpolate_file`."""
    from vidcm.interpolation.stream import interpolate_file
    from vidcm.media.info import MediaWarning

    detector = _detector() if find_cuts else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MediaWarning)  # the report has them
        return interpolate_file(
            source,
            target,
            detector=detector,
            **how,
        )


def _detector() -> "CutDetector":
    from vidcm.media.shots import CutDetector

    return CutDetector()


def _loader(
    model: Path | None,
    *,
    device: str,
    steps: int,
    seed: int,
    temperature: float | None,
    processes: Processes = ALONE,
) -> "Callable[[], Interpolator]":
    """Gives the model, loaded at the first call."""

    @cache
    def loaded() -> "Interpolator":
        from vidcm.pipelines import FrameInterpolationPipeline, as_interpolator, calibration_of

        calibration = calibration_of(model)
        pipe = FrameInterpolationPipeline.from_pretrained(model).to(own_device(device, processes))
        return as_interpolator(pipe, steps=steps, seed=seed, temperature=temperature, calibration=calibration)

    return loaded


def lazily(loaded: "Callable[[], Interpolator]") -> "Interpolator":
    """Loaded when the first in-between is wanted: by then the input has been found readable and whole."""
    return lambda *ends_and_taus, **key: loaded()(*ends_and_taus, **key)
