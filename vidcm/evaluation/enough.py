"""The held-out clips that an evaluation of a generator compares with, and what to do where they are too few."""

from collections.abc import Sequence
from pathlib import Path

from vidcm.core.errors import UserError
from vidcm.data.clips import ClipCache
from vidcm.evaluation.generation_config import LEAST, GenerationConfig
from vidcm.evaluation.heldout import ClipShape, Held, real_clips
from vidcm.metrics.floor import halves
from vidcm.metrics.neighbours import NEIGHBOURS


def held_out(dataset: Path, config: GenerationConfig, shape: ClipShape) -> list[Held]:
    """Of a split, at most as many as the config says. Raises UserError for too few, with all that is missing."""
    cache = ClipCache.open(dataset)
    clips = cache.split(config.split)
    found = real_clips(cache, clips, shape, config.clips)
    if is_enough(found):
        return found
    known = len({clip.source for clip in clips})
    ways = [f"prepare more footage, of {'several' if known < 2 else 'other'} sources"]
    if known > 1:  # one source makes no two halves, however short its clips are
        ways.append("give a smaller --num-frames")
    other = "train" if config.split == "val" else "val"
    if is_enough(real_clips(cache, cache.split(other), shape, config.clips)):
        ways.append(f"take --split {other}{' if the model has not been trained on it' if other == 'train' else ''}")
    raise UserError(
        f"the split {config.split} of {dataset} has {counted(found)} of {shape}; an evaluation takes {LEAST} or more, "
        f"from several sources, more than {NEIGHBOURS} of them outside the largest: {', or '.join(ways)}"
    )


def is_enough(clips: Sequence[Held]) -> bool:
    """Whether they make two halves, of whole sources, that can be compared with each other: see `metrics.floor`."""
    sources = [one.source for one in clips]
    if len(clips) < LEAST or len(set(sources)) < 2:
        return False
    return min(len(half) for pair in halves(len(sources), sources) for half in pair) > NEIGHBOURS


def counted(clips: Sequence[Held]) -> str:
    """In words, with their sources."""
    sources = [one.source for one in clips]
    count = len(set(sources))
    if count < 2:
        return f"{len(clips)} clips, of one source," if clips else "no clip"
    return f"{len(clips)} clips, of {count} sources, {max(map(sources.count, sources))} of the largest,"
