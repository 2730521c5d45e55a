"""RUN/report.md: what tuning gained and lost, with curves and pictures, for somebody who was not there."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from vidcm.evaluation.figure import save_sheet
from vidcm.finetuning import account
from vidcm.finetuning.history import Mark
from vidcm.finetuning.plots import Curve, chart
from vidcm.finetuning.settings import Settings
from vidcm.finetuning.subject import Subject
from vidcm.settings import as_mapping

REPORT = "report.md"


def write_report(
    run: Path,
    settings: Settings,
    subject: Subject,
    before: Mark,
    after: Mark,
    marks: Sequence[Mark],
    took_s: float,
) -> None:
    """The report and the pictures it shows, in the folder of the run. took_s: seconds since it last began."""
    save_sheet(run / "samples.png", subject.sheet(subject.start, run / "best"))
    pictures = ["![Validation clips: truth, before, after](samples.png)"]
    for name, svg in charts(run, subject, marks).items():
        _write(run / f"{name}.svg", svg)
        pictures.append(f"![{name}]({name}.svg)")
    lines = [
        f"# Fine-tuning on {Path(settings.dataset).name}",
        subject.verdict(before, after),
        _listed((*subject.forgetting(before, after), *subject.notes(run / "best"))),
        "What was done:",
        _listed(account.done(settings, subject, marks, took_s)),
        account.best(run, after),
        account.further(run, settings, marks, after),
        "Before / after:",
        table(subject, before, after),
        subject.LEGEND,
        *pictures,
        f"Use it: `{subject.use(run / 'best')}`",
        "Settings:",
        "```yaml\n" + yaml.safe_dump(as_mapping(settings), sort_keys=False) + "```",
    ]
    _write(run / REPORT, "\n\n".join(lines) + "\n")


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(subject: Subject, before: Mark, after: Mark) -> str:
    """Markdown: a row for each set, each score before and after."""
    keys = list(next(iter(before.scores.values())))
    rows = [["", *(subject.HEADINGS[key] for key in keys)], ["---"] * (len(keys) + 1)]
    for name, scores in before.scores.items():
        pairs = [(scores[key], after.scores[name][key], subject.DECIMALS.get(key, 4)) for key in keys]
        rows.append([name, *(f"{_number(old, places)} / {_number(new, places)}" for old, new, places in pairs)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def charts(run: Path, subject: Subject, marks: Sequence[Mark]) -> dict[str, str]:
    """Name -> SVG: the loss of each part, and what is judged on the validation clips, over all steps."""
    key = subject.KEY
    curves: dict[str, Curve] = {}
    judged: dict[str, list[tuple[float, float]]] = {}
    done = 0
    for mark in marks[:1]:
        judged = {name: [(0, scores[key])] for name, scores in mark.scores.items()}
    for number, part in enumerate(subject.parts, 1):
        lines = _metrics(run / f"{number}-{part}" / "metrics.jsonl")
        if curve := [(done + line["step"], line["loss"]) for line in lines if "loss" in line]:
            curves[part] = curve
        for mark in (mark for mark in marks if mark.part == part):
            for name, scores in mark.scores.items():
                judged[name].append((done + mark.step, scores[key]))
        done += lines[-1]["step"] if lines else 0
    found = {key: chart(judged, subject.CURVE, "steps")} if judged else {}
    return found | {f"loss-{part}": chart({part: curve}, f"loss, {part}", "steps") for part, curve in curves.items()}


def _metrics(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _write(path: Path, text: str) -> None:
    aside = path.with_name(path.name + ".tmp")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
