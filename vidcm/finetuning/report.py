"""RUN/report.md: what tuning gained and lost, with curves and pictures, for somebody who was not there."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from vidcm.evaluation.baselines import Interpolator
from vidcm.evaluation.figure import contact_sheet, liveliest, save_sheet
from vidcm.evaluation.report import DECIMALS, HEADINGS
from vidcm.evaluation.windows import spread
from vidcm.finetuning.config import FinetuneConfig
from vidcm.finetuning.history import START, Mark
from vidcm.finetuning.plots import Curve, chart
from vidcm.finetuning.settings import Settings
from vidcm.finetuning.windows import Set
from vidcm.settings import as_mapping

NOTICED = 0.02  # dB; less is no gain to speak of
FORGOTTEN = 0.1  # dB lost on a reference that the report warns of
ROWS = 6  # of the sheet of samples


def write_report(
    run: Path,
    settings: Settings,
    before: Mark,
    after: Mark,
    marks: Sequence[Mark],
    interpolators: Mapping[str, Interpolator],
    sets: Mapping[str, Set],
) -> Path:
    """The report and the pictures it shows, in the folder of the run. Returns its path."""
    shown = {f"clip {n}": liveliest(windows) for n, windows in enumerate(_some(next(iter(sets.values()))), 1)}
    save_sheet(run / "samples.png", contact_sheet(shown, interpolators))
    pictures = ["![Rebuilt frames of validation clips: truth, before, after](samples.png)"]
    for name, svg in charts(run, settings.config, marks).items():
        _write(run / f"{name}.svg", svg)
        pictures.append(f"![{name}]({name}.svg)")
    lines = [
        f"# Fine-tuning on {Path(settings.dataset).name}",
        verdict(before, after),
        "\n".join(f"- {line}" for line in forgetting(before, after)),
        "Before / after, frames rebuilt in two network steps, means over clips:",
        table(before, after),
        "`val`: the dataset's validation clips, every second frame rebuilt (2x) or three of four (4x). `rendered`: "
        "scenes with known motion, the same for every run. PSNR, moving dB, SSIM: higher is better; GMSD, flicker: "
        "lower; sharpness: 1 is the truth's.",
        *pictures,
        f"Use it: `vidcm interpolate IN -o OUT --factor 2 --model {run / 'best'}`",
        "Settings:",
        "```yaml\n" + yaml.safe_dump(as_mapping(settings), sort_keys=False) + "```",
    ]
    _write(run / "report.md", "\n\n".join(lines) + "\n")
    return run / "report.md"


def verdict(before: Mark, after: Mark) -> str:
    """What came of it, in a sentence or two."""
    gain = after.psnr - before.psnr
    if after.part == START:
        return "**Nothing gained.** No tuned model did better on the validation clips: `best` is the model as it was."
    size = "Hardly anything gained" if gain < NOTICED else "Better"
    return (
        f"**{size}: {gain:+.2f} dB** on the validation clips ({before.psnr:.2f} to {after.psnr:.2f} dB of PSNR, mean "
        f"of 2x and 4x), {after.part}, step {after.step}."
    )


def forgetting(before: Mark, after: Mark) -> list[str]:
    """What was gained or lost on footage that it was not tuned for, a line for each reference."""
    lines = []
    for name in before.scores:
        if name.startswith("val "):
            continue
        change = (after.scores[name]["psnr"] or 0.0) - (before.scores[name]["psnr"] or 0.0)
        word = "forgot" if change < -FORGOTTEN else "kept" if change <= FORGOTTEN else "gained"
        lines.append(f"{name}: {change:+.2f} dB, {word}")
    return lines


def table(before: Mark, after: Mark) -> str:
    """Markdown: a row for each set, each score before and after."""
    keys = list(next(iter(before.scores.values())))
    rows = [["", *(HEADINGS[key] for key in keys)], ["---"] * (len(keys) + 1)]
    for name, scores in before.scores.items():
        pairs = [(scores[key], after.scores[name][key], DECIMALS.get(key, 4)) for key in keys]
        rows.append([name, *(f"{_number(old, places)} / {_number(new, places)}" for old, new, places in pairs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def charts(run: Path, config: FinetuneConfig, marks: Sequence[Mark]) -> dict[str, str]:
    """Name -> SVG: the loss of each part, and PSNR on the validation clips, over all steps."""
    curves: dict[str, Curve] = {}
    judged: dict[str, list[tuple[float, float]]] = {}
    done = 0
    for mark in marks[:1]:
        judged = {name: [(0, scores["psnr"])] for name, scores in mark.scores.items()}
    for number, part in enumerate(config.parts, 1):
        lines = _metrics(run / f"{number}-{part}" / "metrics.jsonl")
        if curve := [(done + line["step"], line["loss"]) for line in lines if "loss" in line]:
            curves[part] = curve
        for mark in (mark for mark in marks if mark.part == part):
            for name, scores in mark.scores.items():
                judged[name].append((done + mark.step, scores["psnr"]))
        done += lines[-1]["step"] if lines else 0
    found = {"psnr": chart(judged, "PSNR on the validation clips, dB", "steps")} if judged else {}
    return found | {f"loss-{part}": chart({part: curve}, f"loss, {part}", "steps") for part, curve in curves.items()}


def _some(clips: Set) -> Set:
    return [clips[i] for i in spread(len(clips), ROWS)]


def _metrics(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _write(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
