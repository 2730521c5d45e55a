"""`vidcm interpolate`: add frames to a video. Arguments are judged before torch is imported or a model is read."""

from pathlib import Path
from typing import Any

import click

from vidcm.cli.asked import check_folder, check_pipes, check_reports, request, rule_of, source_of
from vidcm.cli.file import Shared, interpolate_video
from vidcm.cli.folder import interpolate_folder
from vidcm.cli.identity import options_of
from vidcm.cli.model_path import ModelPath
from vidcm.cli.options import DEVICE, PLACE, PLACE_HELP, WORKERS_HELP, Temperature, check_place, judged
from vidcm.cli.reroll import check_reroll, interpolate_again
from vidcm.core.processes import launched
from vidcm.interpolation.check import check_model, check_paths
from vidcm.interpolation.doubt import FALLBACKS
from vidcm.media.encoders import ENCODERS, QUALITIES, check_codec
from vidcm.media.hardware import SOFTWARE, check_encoder, codec_of
from vidcm.media.pace import SOUNDS


@click.command("interpolate", short_help="Add frames to a video: a higher rate.")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    metavar="OUT",
    required=True,
    type=click.Path(path_type=Path),
    help="To write: .mp4, .mov, .mkv, .webm, .y4m, f_%04d.png or .exr; - is a pipe. A folder where IN is one.",
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
@click.option("--model", type=ModelPath(), help="Model directory.  [default: the shipped one]")
@click.option(
    "--memory",
    metavar="SIZE",
    help="Hold no more than this, such as 2GiB or 800MiB, where the model runs on the CPU.  [default: what it takes]",
)
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
    "--overlays",
    default="auto",
    show_default=True,
    type=click.Choice(("auto", "off")),
    help="Keep still what stands in front of moving pictures: logos, HUD, burned-in subtitles.",
)
@click.option(
    "--codec",
    type=click.Choice(list(ENCODERS)),
    help="Codec of the pictures; ffv1 is lossless.  [default: what OUT's players know, at IN's bit depth]",
)
@click.option(
    "--encoder",
    default=SOFTWARE,
    show_default=True,
    metavar="software|auto|NAME",
    help="auto: hardware if some works here, such as NVENC; NAME: that one, such as hevc_nvenc.",
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
    help="Write what was done, frame by frame: JSON; .html a page with the least sure frames; .edl or .fcpxml markers "
    "there.",
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
@click.option("--resume", is_flag=True, help="Go on with an interrupted run of the same command, if there is one.")
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
    device: str,
    steps: int,
    seed: int,
    temperature: float | None,
    reports: tuple[Path, ...],
    reroll: str | None,
    resume: bool,
    suffix: str | None,
    place: str,
    workers: int | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Add frames to IN. Sound, colour, timing of cuts and duration stay; an OUT that is there is replaced.

    If IN is a folder, so is OUT: it gets every video of IN, in the same tree. Run again, it keeps what is finished.
    With --input-fps, IN is numbered pictures: shots/f_%04d.png, or their folder.

    One of --factor, --fps and --slow-motion says how many: `--factor 2`, `--fps 60`, `--slow-motion 4`. With a whole
    factor every source frame is kept, at its own instant, and goes to the encoder as it was decoded.
    """
    rule = rule_of(factor, fps, slower, sound)
    source = judged(source_of, source, input_fps)
    many = source.is_dir()
    if many:
        check_folder(source, target, reports, resume, given)
    else:
        check_paths(source, target, resume)
    again_at = None if reroll is None else check_reroll(ctx, source, target, reroll)
    how = {"rule": rule, **request(sound=sound, **given)}
    judged(check_encoder, how["encoder"], how["codec"])
    if not many:
        judged(check_codec, target, codec_of(how["encoder"]) or how["codec"], how["quality"])
    check_model(model)
    check_reports(reports, source, target)
    check_place(place, workers, None if many else "a folder")

    sampling = {"device": device, "steps": steps, "seed": seed, "temperature": temperature}
    shared = Shared(how, sampling, model, options_of(ctx), as_json, launched())
    if many:
        on_ray = {"workers": workers, "device": device} if place == "ray" else None
        if interpolate_folder(source, target, suffix, shared, on_ray):
            ctx.exit(2)
        return
    if suffix is not None:
        raise click.UsageError(f"--suffix {suffix} is for a folder: let the name of the output end in it")
    judged(check_pipes, source, target, as_json, resume or again_at is not None)
    if again_at is not None:
        interpolate_again(source, target, again_at, shared)
    else:
        interpolate_video(source, target, shared, reports, resume)
