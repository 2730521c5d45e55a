"""A generator as what is tuned: the distance of clips that it makes in two steps to held-out real ones decides.

A model with several uses, such as to animate a picture and to fill in between two, is judged by the mean over them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vidcm import families
from vidcm.core.devices import present_device
from vidcm.core.errors import UserError, WrongUse
from vidcm.core.processes import Processes, launched
from vidcm.data import manifest
from vidcm.data.clips import ClipCache
from vidcm.evaluation.heldout import Held, check_enough, real_clips
from vidcm.evaluation.score import as_8_bit, mean
from vidcm.evaluation.windows import spread
from vidcm.families.encoder import encoder_digest
from vidcm.families.stock import pipeline_of, read_index
from vidcm.finetuning.best import write_facts
from vidcm.finetuning.clip_recipe import clip_config, load_dtype
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.distance import DECIMALS, HEADINGS, Yardstick
from vidcm.finetuning.encode import shape_for
from vidcm.finetuning.history import START, Judgement, Mark
from vidcm.finetuning.strips import strips
from vidcm.finetuning.subject import Subject, Tell
from vidcm.pipelines import VideoGenerationPipeline
from vidcm.training.config import RunConfig
from vidcm.training.divided import check_divided
from vidcm.training.prepared import EncodedAs

STEPS = 2  # of made clips
REAL_NAME = "real training clips"
REAL = 4  # times as many real clips as made ones are held against
NOTICED = 0.02  # of the distance; less is no gain to speak of
FORGOTTEN = 0.05  # of the distance to a reference, lost, that the report warns of
ROWS = 4  # of the sheet of samples


class GeneratorSubject(Subject):
    KEY: ClassVar = "sliced"
    CURVE: ClassVar = "distance to the validation clips"
    HEADINGS: ClassVar = HEADINGS
    DECIMALS: ClassVar = DECIMALS
    LEGEND: ClassVar = (
        "`val`: clips made in two network steps, for captions (and, where the model takes one, first frames; `ends`: "
        "first and last ones) of validation clips, against real validation clips; `real training clips`: those in the "
        "place of made ones, what a perfect model would score. Distances: lower is better; precision, recall: share of "
        "made clips among real ones, and the other way round; diversity: 1 is that of real clips. Statistics of look, "
        "detail and motion, in units of how far real clips of the dataset differ (vidcm/metrics)."
    )
    parts = ("network",)

    def __init__(self, config: FinetuneConfig, cache: ClipCache, start: Path):
        super().__init__(config, cache, start)
        if config.parts:
            raise WrongUse("parts: only the motion model has some, leave it out")
        self.device = torch.device(present_device(config.device))
        kind = pipeline_of(read_index(start))
        self.name = families.reading(kind) or ""
        if not self.name:
            known = ", ".join(families.pipelines())
            raise UserError(f"{start} holds a {kind}, which no family here tunes; known: {known}")
        family = families.get(self.name).load(start, load_dtype(self.device))
        if getattr(family, "base", ""):
            raise UserError(f"{start} is an adapter: start from its base, {family.base}, or merge it first")
        self.reads_text = family.tokens > 0
        if config.prompt and not self.reads_text:
            raise WrongUse(f"prompt: family {self.name} reads no text, leave it out")
        self.weights = sum(weight.numel() for network in family.networks for weight in network.parameters())
        self.tuned = family.consistency is not None
        self.latents = EncodedAs.of(cache.folder)
        if self.latents is not None:
            self.latents.check(cache.folder, encoder_digest(start), start)
        self.shape = shape_for(config, family, cache, self.latents)
        self.train = self._real(cache, "train", config.windows * REAL)
        self.held = self._real(cache, "val", config.windows * REAL)
        self.yardstick = Yardstick(self.held, self.train)
        self.references = [self._reference(Path(place)) for place in config.reference]
        self.uses = tuple(family.uses(self.held[0].clip))
        self.aims = tuple(_set("val", use) for use in self.uses)
        self.windows = len(self._asked(self.held))
        check_divided(self.run_config(self.parts[0], str(start), "", 1, launched()), family)

    def _real(self, cache: ClipCache, split: str, count: int) -> list[Held]:
        found = real_clips(cache, cache.split(split), self.shape, count)
        check_enough(found, cache.folder, {"train": "training", "val": "validation"}[split], self.shape)
        return found

    def _reference(self, folder: Path) -> tuple[str, list[Held], Yardstick]:
        if not manifest.is_in(folder):
            raise WrongUse(f"the reference {folder} must be a dataset of vidcm prepare, for a generator")
        cache = ClipCache.open(folder)
        found = real_clips(cache, cache.clips, self.shape, self.config.windows * REAL)
        check_enough(found, folder, "reference", self.shape)
        return f"reference {folder.name}", found, Yardstick(found, found)

    def run_config(self, part: str, start: str, out: str, steps: int, processes: Processes) -> RunConfig:
        facts: dict[str, Any] = {"weights": self.weights, "tuned": self.tuned, "processes": processes.count}
        facts["prepared"] = self.latents is not None
        return clip_config(self.config, self.cache, self.name, self.shape, **facts, start=start, out=out, steps=steps)

    def start_of(self, folder: Path, best: Path) -> Path:
        """The one part begins with the model as it is; a copy of it may be tens of GB."""
        return self.start

    def begin(self, best: Path, mark: Mark) -> None:
        """With `lora`, factors that change nothing, rather than a copy of all."""
        if self.config.lora is None:
            super().begin(best, mark)
            return
        family = families.get(self.name).load(self.start, load_dtype(self.device))
        torch.manual_seed(self.config.seed)
        family.adapt(self.config.lora, str(self.start))
        family.save(best)
        write_facts(best, mark)  # a run killed before this begins again

    @property
    def concluding(self) -> float:
        return 2 * (len(self.references) + ROWS / self.windows)

    # Judging --------------------------------------------------------------------------------------------------------

    def judge(self, model: Path, tell: Tell) -> Judgement:
        made = self._make(model, self._asked(self.held), tell)
        return {_set("val", use): self.yardstick(clips) for use, clips in made.items()}

    def compare(self, model: Path, tell: Tell) -> Judgement:
        real = self._asked(self.train)
        found = {REAL_NAME: self.yardstick([one.clip for one in real])}
        for name, held, yardstick in self.references:
            made = self._make(model, self._asked(held), tell)
            found |= {_set(name, use): yardstick(clips) for use, clips in made.items()}
        return found

    def headline(self, judgement: Judgement) -> float:
        return -(mean(judgement[name]["sliced"] for name in self.aims) or 0.0)

    def _asked(self, held: Sequence[Held]) -> list[Held]:
        """Those whose caption and frames a model is given."""
        return [held[i] for i in spread(len(held), self.config.windows)]

    def _make(self, model: Path, asked: Sequence[Held], tell: Tell) -> dict[str, list[Tensor]]:
        """A clip for each by use, [1, 3, T, H, W], as 8 bits hold them; the same noise for every model and use."""
        pipe = VideoGenerationPipeline.from_pretrained(model, load_dtype(self.device))
        pipe.set_progress_bar_config(disable=True)
        pipe.enable_model_cpu_offload(device=self.device) if self.device.type == "cuda" else pipe.to(self.device)
        made: dict[str, list[Tensor]] = {use: [] for use in self.uses}
        size = {"num_frames": self.shape.num_frames, "height": self.shape.height, "width": self.shape.width}
        for number, held in enumerate(asked):
            tell(f"clip {number + 1}/{len(asked)}")
            prompt = (held.caption or self.config.prompt) if self.reads_text else ""
            for use, images in pipe.family.uses(held.clip).items():
                how = {**size, "sampler": "consistency", "num_inference_steps": STEPS, "seed": number}
                made[use].append(as_8_bit(pipe(prompt, *images, **how).frames, str(model)))
        return made

    # In words -------------------------------------------------------------------------------------------------------

    def say(self, mark: Mark) -> str:
        return f"distance {-mark.headline:.3f}"

    def verdict(self, before: Mark, after: Mark) -> str:
        if after.part == START:
            return (
                "**Nothing gained.** No tuned model came nearer to the validation clips in two steps: `best` is the "
                "model as it was."
            )
        gain = after.headline - before.headline
        size = "Hardly any nearer" if gain < -NOTICED * before.headline else "Nearer"
        return (
            f"**{size}: {-before.headline:.3f} to {-after.headline:.3f}**, the distance of clips made in two steps to "
            f"the validation clips ({after.scores[REAL_NAME]['sliced']:.3f}: real training clips), {after.part}, step "
            f"{after.step}."
        )

    def forgetting(self, before: Mark, after: Mark) -> list[str]:
        lines = []
        for name in (name for name in before.scores if name not in (REAL_NAME, *self.aims)):
            old, new = (mark.scores[name]["sliced"] or 0.0 for mark in (before, after))
            word = "forgot" if new > old * (1 + FORGOTTEN) else "kept" if new >= old * (1 - FORGOTTEN) else "gained"
            lines.append(f"{name}: distance {old:.3f} to {new:.3f}, {word}")
        return lines or [
            "what was forgotten was not measured: give --reference DATASET of clips that it should still make"
        ]

    def sheet(self, before: Path, after: Path) -> np.ndarray:
        held = self._asked(self.held)
        asked = [held[i] for i in spread(len(held), ROWS)]
        makers = {
            name: self._make(model, asked, lambda _: None) for name, model in (("before", before), ("after", after))
        }
        rows = [{"real": one.frames_THWC} for one in asked]
        for use in self.uses:
            for name, made in makers.items():
                for row, clip in zip(rows, made[use], strict=True):
                    row[_set(name, use)] = (clip[0].permute(1, 2, 3, 0) * 255).round().byte().numpy()
        return strips(rows)

    def use(self, best: Path) -> str:
        told = "--prompt TEXT" if self.reads_text else "--image PICTURE"
        return f"vidcm generate -o out.mp4 --model {best} {told}"


def _set(name: str, use: str) -> str:
    """Of scores: of a use, where the model has more than one."""
    return f"{name} {use}" if use else name
