"""What `benchmarks.quality` measured: two tables for its page, two figures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.page import fill_page
from benchmarks.panels import Panel, Point, save_panels
from vidcm.core.errors import UserError

BEGIN, END = "<!-- benchmarks.quality: begin -->", "<!-- benchmarks.quality: end -->"
SCORES = {  # title and decimals
    "psnr": ("PSNR dB", 2),
    "gmsd": ("GMSD", 4),
    "sharpness": ("sharpness", 3),
    "flicker": ("flicker", 2),
    "energy": ("energy", 2),
    "apart": ("apart", 2),
}
BETTER = {"psnr": "up", "gmsd": "down", "sharpness": "to 1", "flicker": "down", "energy": "down", "apart": "apart"}
QUIET = 0.5  # processes that run besides, at most
MODEL = "vidcm, by steps"
FAR = "cross-fade"  # in the table alone: on a plot that has it the others cannot be told apart


def named(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def check_targets(page: Path, figures: Path) -> None:
    """Raises UserError where the report could not be written, before anything is measured."""
    begin, end = (page.is_file() and marker in page.read_text(encoding="utf-8") for marker in (BEGIN, END))
    if not begin or not end:
        raise UserError(f"{page} has no place for the tables: it needs the lines {BEGIN} and {END}")
    if not figures.is_dir():
        raise UserError(f"the folder {figures} for the figures does not exist")


def write_report(result: Mapping[str, Any], page: Path, figures: Path) -> str:
    """Fill the page and draw both figures; returns the tables."""
    text = "\n\n".join((time_table(result), heat_table(result), price(result)))
    fill_page(page, text, BEGIN, END)
    save_panels(figures / "quality_against_time.png", time_panels(result))
    save_panels(figures / "quality_against_temperature.png", heat_panels(result), columns=2)
    return text


def time_table(result: Mapping[str, Any]) -> str:
    """Of a busy machine without its wall clock, which tells of whatever else runs there."""
    threads, load = sorted(result["seconds"]), result["machine"]["load"]
    clocks = {"cpu_s": "CPU"} | ({} if load > QUIET else {"wall_s": "wall"})
    heads = [title for title, _ in SCORES.values()]
    heads += [f"{clock} s, {n} thread{'s' * (n > 1)}" for clock in clocks.values() for n in threads]
    lines = [f"| | {' | '.join(heads)} |", f"|---{'|---' * len(heads)}|"]
    for name, scores in result["rows"].items():
        cells = _cells(scores) + [f"{result['seconds'][n][name][clock]:.3f}" for clock in clocks for n in threads]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    state = f"busy (load {load:.1f}): the wall clock is left out" if load > QUIET else "quiet"
    return "\n".join(
        [*lines, "", f"{result['windows']} pairs. The machine, {result['machine']['cores']} cores, was {state}."]
    )


def heat_table(result: Mapping[str, Any]) -> str:
    lines = [f"| temperature | {' | '.join(title for title, _ in SCORES.values())} |", f"|---{'|---' * len(SCORES)}|"]
    for heat, scores in result["heated"].items():
        name = f"**{heat:g}**, stored" if heat == result["stored"] else f"{heat:g}"
        lines.append(f"| {name} | {' | '.join(_cells(scores))} |")
    return "\n".join(lines)


def price(result: Mapping[str, Any]) -> str:
    """What the stored temperature costs."""
    cold, stored = result["heated"][0.0], result["heated"][result["stored"]]
    lost, won = cold["psnr"] - stored["psnr"], cold["energy"] - stored["energy"]
    return f"The stored temperature costs {lost:.2f} dB of two steps without noise, and wins {won:.2f} of energy score."


def time_panels(result: Mapping[str, Any]) -> list[Panel]:
    cost = result["seconds"][min(result["seconds"])]

    def point(name: str, key: str, told: str) -> Point:
        return cost[name]["cpu_s"], result["rows"][name][key], told

    steps = [name for name in result["rows"] if name[0].isdigit()]
    others = [name for name in result["rows"] if name not in (*steps, FAR)]
    panels = []
    for key in ("psnr", "gmsd", "energy", "sharpness", "flicker"):
        curves = {MODEL: [point(name, key, name if name == steps[-1] else name.split()[0]) for name in steps]}
        curves |= {name: [point(name, key, name)] for name in others}
        title = f"{SCORES[key][0]} ({BETTER[key]})"
        panels.append(Panel(title, "CPU seconds of a frame, one thread", curves, logarithmic=True))
    return panels


def heat_panels(result: Mapping[str, Any]) -> list[Panel]:
    panels = []
    for key in ("psnr", "energy", "gmsd", "sharpness"):
        curves = {"2 steps": [(heat, scores[key], "") for heat, scores in result["heated"].items()]}
        levels = {told: result["rows"][name][key] for name, told in {named(0): "draft", named(1): named(1)}.items()}
        marks = {"stored": result["stored"]}
        title = f"{SCORES[key][0]} ({BETTER[key]})"
        panels.append(Panel(title, "temperature of two steps", curves, marks=marks, levels=levels))
    return panels


def _cells(scores: Mapping[str, float | None]) -> list[str]:
    return ["-" if scores[key] is None else f"{scores[key]:.{decimals}f}" for key, (_, decimals) in SCORES.items()]
