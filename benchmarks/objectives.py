"""Every objective on one pretrained model and one budget:

    python -m benchmarks.objectives MODEL --config RUN.yaml -o OUT [KEY=VALUE ...]

MODEL is a diffusion model of a video family, RUN.yaml a run that tunes it (data, optimizer, average); each objective
takes its own values from configs/objectives, curricula and warm-ups scaled to the budget. Each is tuned on the same
number of samples, for at most `--minutes`, with each seed; then its clips in 1, 2 and 4 steps, and the teacher's in 1
to 64 evaluations, are compared with held-out ones. Killed and started again it goes on where it was.

    OUT/results.json      all numbers            OUT/*.png       quality against evaluations and against time
    OUT/table.md          the tables             docs/objectives.md (--page) holds them between its markers
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported: idle threads must not spin
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.objectives_settings import ROOT, Settings, read_options, settings_of
from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError
from vidcm.settings import read_yaml, with_overrides

IN_SAMPLES = ("samples_per_stage",)  # what of a recipe is a share of its budget
OBJECTIVE_IN_SAMPLES = ("warmup",)


class Comparison:
    """The grid of cells under OUT; each has a folder, and what is done is in its files."""

    def __init__(self, settings: Settings, out: Path, objectives: tuple[str, ...], seeds: tuple[int, ...]) -> None:
        self.settings, self.out, self.objectives, self.seeds = settings, out, objectives, seeds
        self.base = with_overrides(read_yaml(settings.config), settings.overrides)
        self.family = self.base.get("family", "motion")

    def run(self) -> Iterator[None]:
        """Yields after every cell."""
        self.check()
        self.draw_heldout()
        self.judge("teacher", self.settings.model, list(self.teacher_rows()), pairs=None)
        yield
        for seed in self.seeds:
            for objective in self.objectives:
                self.tune(objective, seed)
                cell = f"{objective}-{seed}"
                self.judge(cell, str(self.out / cell / "run" / "model"), list(self.rows()), pairs="teacher")
                yield

    def check(self) -> None:
        """Settings are those of the numbers that are there."""
        from vidcm import families
        from vidcm.families.video import VideoFamily

        if not issubclass(families.get(self.family), VideoFamily):
            raise UserError(f"family {self.family} makes no clips of its own: the comparison is of generators")
        now, path = json.loads(json.dumps(asdict(self.settings))), self.out / "settings.json"
        before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else now
        if changed := [name for name in now if before.get(name) != now[name]]:
            raise UserError(
                f"{self.out} holds results of another {changed[0]}, {before.get(changed[0])} and not "
                f"{now[changed[0]]}: choose another -o, or the same settings"
            )
        self.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")

    def draw_heldout(self) -> None:
        from benchmarks.heldout import write_clips
        from vidcm.data.config import DataConfig
        from vidcm.settings import from_mapping

        if not self.clips.exists():
            data = from_mapping(DataConfig, self.base.get("data", {}), "data")
            write_clips(data, self.clips, count=self.settings.clips, choosing=max(1, self.settings.choosing))

    @property
    def clips(self) -> Path:
        return self.out / "clips.safetensors"

    def rows(self) -> Iterator[dict[str, Any]]:
        for given in self.settings.given:
            for kind, counts in (("consistency", self.settings.steps), ("hybrid", self.settings.hybrid)):
                for count in counts:
                    yield {"kind": kind, "evaluations": count, "solver": self.settings.solver, "given": given}

    def teacher_rows(self) -> Iterator[dict[str, Any]]:
        """The most evaluations last: their clips are those that the tuned models' are paired with."""
        least = 2 if self.settings.solver == "heun" else 1
        for given in self.settings.given:
            for count in sorted(count for count in self.settings.teacher if count >= least):
                yield {"kind": "ode", "evaluations": count, "solver": self.settings.solver, "given": given}

    def tune(self, objective: str, seed: int) -> None:
        folder = self.out / f"{objective}-{seed}"
        if (folder / "tuning.json").exists():
            return
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(self.recipe(objective, seed)), encoding="utf-8")
        print(f"{objective}, seed {seed}: tuning", flush=True)
        told = process("benchmarks.tuning", folder / "config.yaml")
        write(folder / "tuning.json", json.loads(told))

    def recipe(self, objective: str, seed: int) -> dict[str, Any]:
        """RUN.yaml with the objective's own values, at this budget."""
        own = read_yaml(ROOT / "configs" / "objectives" / f"{objective}.yaml")
        latents = self.base.get("latents", {})
        batch = latents.get("batch_size") or self.base["data"]["batch_size"]
        steps = max(1, self.settings.samples // batch)
        scale = steps * batch / (own["steps"] * own["latents"]["batch_size"])
        goal = {**own.get("objective", {})}
        scaled = {name: round(own[name] * scale) for name in IN_SAMPLES if name in own}
        goal |= {name: round(goal[name] * scale) for name in OBJECTIVE_IN_SAMPLES if name in goal}
        plain = {name: value for name, value in self.base.items() if name not in ("samples_per_stage", "last_stage")}
        fixed = {"stage": objective, "init": self.settings.model, "seed": seed, "steps": steps, "objective": goal}
        fixed |= {"out": str(self.out / f"{objective}-{seed}" / "run"), "minutes": self.settings.minutes, "keep": 1}
        fixed |= {"log_every": max(1, steps // 20), "save_every": max(1, steps // 4)}
        fixed |= {"last_stage": own["last_stage"]} if "last_stage" in own else {}
        if latents.get("samples"):
            fixed["latents"] = {"dir": str(self.out / "latents"), "seed": 0, **latents}  # one cache for all
        return {**plain, **scaled, **fixed}

    def judge(self, cell: str, model: str, rows: list[dict[str, Any]], pairs: str | None) -> None:
        from benchmarks.judging import finished, key_of

        folder = self.out / cell
        folder.mkdir(parents=True, exist_ok=True)
        if {key_of(row) for row in rows} <= {key_of(row) for row in finished(folder)}:
            return
        job = {"family": self.family, "model": model, "clips": str(self.clips), "out": str(folder), "rows": rows}
        job |= {"batch": self.settings.batch, "seed": 0, "pairs": pairs and str(self.out / pairs)}
        job["middles"] = list(self.settings.middles) if pairs and self.settings.choosing else []
        write(folder / "job.json", job)
        print(f"{cell}: drawing clips", flush=True)
        process("benchmarks.judging", folder / "job.json")

    def results(self) -> dict[str, Any]:
        """All that is done so far."""
        from benchmarks.judging import finished

        found: dict[str, Any] = {"settings": asdict(self.settings), "machine": machine(), "cells": {}}
        for path in sorted(self.out.glob("*/rows.jsonl")):
            facts = {name: read(path.with_name(f"{name}.json")) for name in ("tuning", "middles")}
            found["cells"][path.parent.name] = {**facts, "rows": finished(path.parent)}
        found["training_clips"] = self.score_training()
        found["coded"] = read(self.out / "teacher" / "coded.json")
        return found

    def score_training(self) -> dict[str, Any]:
        """The train split's own clips in the place of samples: a model that learned it perfectly does no better."""
        from safetensors.torch import load_file

        from vidcm.evaluation.clip_sets import Reference

        path = self.out / "training_clips.json"
        if not path.exists():
            clips = load_file(self.clips)
            write(path, Reference(clips["heldout"]).scores(clips["training"]))
        return read(path)


def process(module: str, argument: Path) -> str:
    """Run one of ours, whose words go on to ours; its last line. Raises UserError where it fails."""
    command, last = [sys.executable, "-m", module, str(argument)], ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        for last in child.stdout or ():
            if not last.startswith("{"):
                print(last, end="", flush=True)
    if child.returncode:
        raise UserError(f"{module} {argument} ended with {child.returncode}: see above, and start again to go on")
    return last


def machine() -> dict[str, Any]:
    import torch

    return {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(), "torch": torch.__version__}


def write(path: Path, content: Any) -> None:
    write_aside(path, json.dumps(content, indent=1) + "\n")


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main(arguments: list[str] | None = None) -> None:
    from benchmarks.objectives_report import BEGIN, END, write_report
    from benchmarks.page import fill_page

    options = read_options(arguments)
    try:
        comparison = Comparison(settings_of(options), options.out.absolute(), options.objectives, options.seeds)
        for _ in comparison.run():
            results = comparison.results()
            write(comparison.out / "results.json", results)
            table = write_report(results, comparison.out)
        print(table)
        if options.page:
            fill_page(options.page, table, BEGIN, END)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
