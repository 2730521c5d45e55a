"""`vidcm evaluate generation`: clips of a model against held-out ones of a dataset, and against what costs nothing.

For each set of frames that the model is told (none, the first, first and last) as many clips are made as there are
held-out ones, each from the caption and the frames of one of them. Distances are between the sets
(`evaluation/clip_sets.py`), PSNR between each made clip and the one that its frames are of, on the frames not given.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vidcm import __version__
from vidcm.core.devices import present_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.shipped import shipped
from vidcm.data import manifest
from vidcm.evaluation.baselines import crossfade, hold
from vidcm.evaluation.clip_sets import Reference
from vidcm.evaluation.enough import held_out
from vidcm.evaluation.generation_config import GenerationConfig
from vidcm.evaluation.heldout import ClipShape, Held
from vidcm.evaluation.report import table
from vidcm.metrics.psnr import psnr

MODEL = "vidcm"
SHIPPED = shipped("clip")
ENDS = {"none": (), "first": (0,), "ends": (0, -1)}  # places of the frames that are told
BASELINES = {"none": {}, "first": {"hold": hold}, "ends": {"hold": hold, "crossfade": crossfade}}
Report = Callable[[str], None]


def evaluate_generation(dataset: Path, config: GenerationConfig, report: Report = lambda line: None) -> dict[str, Any]:
    """The result, for JSON. Raises UserError where there are too few clips, or nothing that the model can."""
    if not manifest.is_in(dataset) and not (dataset / "index.json").is_file():
        raise WrongUse(f"{dataset} is no dataset: run `vidcm prepare` on the footage, give the folder that it writes")
    pipe = load_pipe(config)
    family = pipe.family
    height, width = config.pixels or family.usual_clip[1:]
    shape = ClipShape(config.num_frames or family.usual_clip[0], height, width, float(family.RATE))
    family.grid.check(shape.num_frames, shape.height, shape.width)
    held = held_out(dataset, config, shape)
    reference = Reference(torch.cat([stacked(one) for one in held]), [one.source for one in held])
    found, refused = {}, {}
    for given in config.given:
        try:
            found[given] = judge(pipe, config, shape, held, reference, given, report)
        except CannotBeTold as error:
            refused[given] = str(error)
    if not found:
        raise UserError(f"nothing to evaluate: {next(iter(refused.values()))}")
    return _result(config, shape, held, found, refused, pipe.plan(config.sampler, config.steps))


class CannotBeTold(UserError):
    """The model takes no such frames, or needs others."""


def load_pipe(config: GenerationConfig) -> Any:
    from vidcm.pipelines import VideoGenerationPipeline

    device = torch.device(present_device(config.device))
    if config.model is None and not SHIPPED.is_dir():
        raise UserError("no generator is shipped with this installation: name one with --model")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    pipe = VideoGenerationPipeline.from_pretrained(config.model or SHIPPED, dtype)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def judge(
    pipe: Any,
    config: GenerationConfig,
    shape: ClipShape,
    held: Sequence[Held],
    reference: Reference,
    given: str,
    report: Report,
) -> dict[str, Any]:
    """Method -> its scores. The floor is that of clips told the same."""
    truth = torch.cat([stacked(one) for one in held])
    made, seconds = _made(pipe, config, shape, held, given, report)
    clips = {MODEL: made} | {
        name: torch.cat([fill(one.clip, given, method) for one in held]) for name, method in BASELINES[given].items()
    }
    rows = {name: scored(reference, each, truth, given) for name, each in clips.items()}
    rows[MODEL]["s_per_clip"] = seconds
    return rows


def scored(reference: Reference, clips: Tensor, truth: Tensor, given: str) -> dict[str, Any]:
    scores: dict[str, Any] = reference.scores(clips, paired=bool(ENDS[given]))
    inside = slice(1 if ENDS[given] else 0, -1 if given == "ends" else None)
    pairs = (each[:, :, inside].transpose(1, 2).float() / 255 for each in (clips, truth))
    return {**scores, "psnr": psnr(*pairs).mean().item() if ENDS[given] else None}


def fill(clip: Tensor, given: str, method: Callable[..., Tensor]) -> Tensor:
    """A clip [1, 3, T, H, W] with every frame that is not given made by a baseline; uint8."""
    first, last = clip[0, :, 0], clip[0, :, -1] if given == "ends" else None
    count = clip.shape[2]
    inner = range(1, count - 1 if given == "ends" else count)
    frames = [first[:, None], method(first, last, [i / (count - 1) for i in inner])]
    return eight_bit(torch.cat(frames if last is None else [*frames, last[:, None]], dim=1)[None])


def _made(
    pipe: Any, config: GenerationConfig, shape: ClipShape, held: Sequence[Held], given: str, report: Report
) -> tuple[Tensor, float]:
    """uint8 [N, 3, T, H, W], and the median of the seconds that one took. Noise is keyed by the clip's number."""
    size = {"num_frames": shape.num_frames, "height": shape.height, "width": shape.width}
    how = {"sampler": config.sampler, "num_inference_steps": config.steps, "frame_rate": shape.rate}
    reads, made, taken = pipe.family.tokens > 0, [], []
    _check_told(pipe, [held[0].clip[:, :, place] for place in ENDS[given]], tuple(size.values()), given)
    for start in range(0, len(held), config.batch):
        some = held[start : start + config.batch]
        report(f"given {given}: clip {start + len(some)}/{len(held)}")
        images = [torch.cat([one.clip[:, :, place] for one in some]) for place in ENDS[given]]
        prompts = [(one.caption or config.prompt) if reads else "" for one in some]
        seeds = [config.seed + start + i for i in range(len(some))]
        started = time.monotonic()
        made.append(eight_bit(pipe(prompts, *images, **size, **how, seed=seeds).frames))
        taken.append((time.monotonic() - started) / len(some))
    return torch.cat(made), sorted(taken)[len(taken) // 2]


def _check_told(pipe: Any, images: Sequence[Tensor], shape: Any, given: str) -> None:
    family = pipe.family
    try:
        ends = [*(image.to(family.device) for image in images), None, None][:2]
        family.images(*ends, shape, 1, float(family.RATE))
    except UserError as error:
        raise CannotBeTold(f"given {given}: {error}") from error


def eight_bit(frames: Tensor) -> Tensor:
    """As a file holds them, on the CPU."""
    return frames.detach().float().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)


def stacked(one: Held) -> Tensor:
    """uint8 [1, 3, T, H, W]."""
    return torch.from_numpy(one.frames_THWC).permute(3, 0, 1, 2)[None]


def _result(
    config: GenerationConfig,
    shape: ClipShape,
    held: Sequence[Held],
    found: dict[str, Any],
    refused: dict[str, str],
    plan: tuple[str, int],
) -> dict[str, Any]:
    protocol = {
        **asdict(config),
        "num_frames": shape.num_frames,
        "size": f"{shape.width}x{shape.height}",
        "sampler": plan[0],
        "steps": plan[1],
        "clips": len(held),
        "sources": len({one.source for one in held}),
        "floor": "of held-out clips in the place of made ones, means over random halves by source",
        "psnr": "of frames that were not given, mean over clips",
        "threads": torch.get_num_threads(),
        "version": __version__,
    }
    return {"protocol": protocol, "given": found, "refused": refused}


def summary(result: dict[str, Any]) -> str:
    """For the terminal: a table for each set of given frames, the noise floor as its last line."""
    protocol, parts = result["protocol"], []
    parts.append(
        f"{protocol['clips']} clips of {protocol['sources']} sources, {protocol['num_frames']} frames of "
        f"{protocol['size']}; {protocol['sampler']}, {protocol['steps']} steps"
    )
    for given, methods in result["given"].items():
        judged = [name for name, score in next(iter(methods.values())).items() if isinstance(score, dict)]
        rows = {name: _row(scores, judged, "value") for name, scores in methods.items()}
        rows["floor"] = _row({**methods[MODEL], "psnr": None, "s_per_clip": None}, judged, "floor")
        parts.append(f"given {given}\n{table(rows)}")
    parts += [f"left out: {why}" for why in result["refused"].values()]
    return "\n\n".join(parts)


def _row(scores: dict[str, Any], judged: Sequence[str], key: str) -> dict[str, float | None]:
    values: dict[str, float | None] = {name: scores[name][key] for name in judged}
    return values | {"psnr": scores.get("psnr"), "s_per_clip": scores.get("s_per_clip")}
