"""`vidcm prepare --latents MODEL`: what a generator's encoders make of a dataset, once, for every run of tuning it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from vidcm import families
from vidcm.core.devices import present_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.locks import held
from vidcm.data.arrays import text_digest
from vidcm.data.clip import Clip
from vidcm.data.clips import ClipCache
from vidcm.data.dataset import SETTINGS
from vidcm.evaluation.heldout import ClipShape, real_clips
from vidcm.families.encoder import encoder_digest
from vidcm.families.stock import pipeline_of, read_index
from vidcm.families.video import Condition, VideoFamily
from vidcm.finetuning.clip_recipe import load_dtype
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.shape import choose_shape
from vidcm.training.disk import room_in
from vidcm.training.prepared import FOLDER, EncodedAs, rows_in, shard_of, text_of
from vidcm.training.step import keyed_seed

MOST = 10**6  # clips of a scene: all there are, half of their length apart


@dataclass(frozen=True)
class Encoded:
    """scenes, new: how many have latents, and how many of them since now; clips: in them; skipped: scenes too short."""

    told: EncodedAs
    scenes: int
    new: int
    clips: int
    skipped: int


def encode_dataset(
    dataset: Path,
    model: Path,
    config: FinetuneConfig | None = None,
    *,
    digest: str | None = None,
    progress: Callable[[int, int], None] = lambda done, expected: None,
) -> Encoded:
    """Latents of the training clips and embeddings of their captions, as far as they are not there.

    config: num_frames, size and device of it. digest: what `check_encoder` found, where that was asked before.
    progress(done, expected): scenes. Raises UserError for a model that is no generator, and for a dataset with latents
    of another encoder or other clips."""
    config = config or FinetuneConfig()
    digest = digest or check_encoder(dataset, model, config)
    cache, before = ClipCache.open(dataset), EncodedAs.of(dataset)
    name = str(families.reading(pipeline_of(read_index(model))))
    device = torch.device(present_device(config.device))
    family = families.get(name).load(model, load_dtype(device)).to(device)
    shape = shape_for(config, family, cache, before)
    told = EncodedAs(digest, str(model), name, shape.num_frames, shape.height, shape.width, shape.rate)
    clips = [clip for clip in cache.split("train") if shape.fits(clip)]
    if not clips:
        raise UserError(f"{dataset} has no training clip of {shape}: give a smaller --num-frames, or longer footage")
    with held(dataset / SETTINGS, f"{dataset} is being prepared by another process: wait until it ends"):
        with room_in(dataset, "run again: what is done is kept"):
            for part in ("clips", "texts"):
                (dataset / FOLDER / part).mkdir(parents=True, exist_ok=True)
            if before is None:
                told.save(dataset)
            new = _encode_clips(cache, family, shape, clips, progress)
            _encode_texts(dataset, family, sorted({clip.caption for clip in clips if clip.caption}))
        _sweep(dataset, clips)
    count = sum(rows_in(shard_of(dataset, clip)) for clip in clips)
    return Encoded(told, len(clips), new, count, len(cache.split("train")) - len(clips))


def check_encoder(dataset: Path, model: Path, config: FinetuneConfig) -> str:
    """The hash of a model's encoders. Needs no dataset; raises UserError where one is there with latents of another
    encoder or of other clips than are asked for, and for a model that is no generator."""
    if families.reading(pipeline_of(read_index(model))) is None:
        raise WrongUse(
            f"{model} is no generator that latents can be made for; known: {', '.join(families.pipelines())}"
        )
    digest, before = encoder_digest(model), EncodedAs.of(dataset)
    if before is not None:
        before.check(dataset, digest, model)
        before.check_clips(dataset, config.num_frames, config.pixels)
    return digest


def shape_for(config: FinetuneConfig, family: VideoFamily, cache: ClipCache, before: EncodedAs | None) -> ClipShape:
    """That of the latents that are there; what is asked for must be the same."""
    if before is None:
        return choose_shape(config, family, cache.split("train"), cache.split("val") or cache.split("train"))
    before.check_clips(cache.folder, config.num_frames, config.pixels)
    return ClipShape(before.num_frames, before.height, before.width, before.rate or float(family.RATE))


def _encode_clips(
    cache: ClipCache, family: VideoFamily, shape: ClipShape, clips: list[Clip], progress: Callable[[int, int], None]
) -> int:
    missing = [clip for clip in clips if not rows_in(shard_of(cache.folder, clip))]
    texts = family.text([""])[0].keys()
    for done, clip in enumerate(missing):
        progress(done, len(missing))
        rows, key = [], int(text_digest(clip.digest)[:15], 16)
        for number, one in enumerate(real_clips(cache, [clip], shape, MOST, least=1)):
            generator = torch.Generator(family.device).manual_seed(keyed_seed(key, number))
            x0, condition = family.encode(_batch(one.clip), generator=generator)
            named = {f"condition.{name}": value for name, value in condition.items() if name not in texts}
            rows.append({"x0": x0, **named})
        _write(shard_of(cache.folder, clip), {name: torch.cat([row[name] for row in rows]) for name in rows[0]})
    return len(missing)


def _batch(clip: torch.Tensor) -> Condition:
    here = torch.ones(len(clip), dtype=torch.bool)
    ends = {"first": clip[:, :, 0], "last": clip[:, :, -1], "frames": clip[:, :, 1:-1]}
    return {**ends, "first_present": here, "last_present": here}


def _encode_texts(dataset: Path, family: VideoFamily, captions: list[str]) -> None:
    if not family.tokens:
        return
    for caption in captions:
        path = text_of(dataset, caption)
        if not path.is_file():
            _write(path, family.said(caption, 1))


def _write(path: Path, tensors: Condition) -> None:
    """Whole or not at all. Floating values in float16, of order one as they are; an overflow is an error."""
    plain = {}
    for name, tensor in tensors.items():
        kept = tensor.half() if tensor.is_floating_point() else tensor
        if kept.is_floating_point() and not kept.isfinite().all():
            raise UserError(f"the encoder makes {name} that is not finite in float16: check its weights")
        plain[name] = kept.contiguous().cpu()
    aside = path.with_name(f"{path.name}.tmp")
    try:
        aside.write_bytes(save(plain))  # with the permissions of other files here, where save_file gives its own
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)  # a full disk gets its room back


def _sweep(dataset: Path, clips: list[Clip]) -> None:
    """Delete what no clip needs any more, and what interrupted runs left."""
    kept = {shard_of(dataset, clip) for clip in clips} | {text_of(dataset, clip.caption) for clip in clips}
    for part in ("clips", "texts"):
        for path in (dataset / FOLDER / part).iterdir():
            if path not in kept:
                path.unlink(missing_ok=True)
