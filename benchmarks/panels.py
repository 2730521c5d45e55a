"""Small plots beside one another as one PNG, each with an axis of its own that fits what is in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.chart import COLOURS

WIDTH, HEIGHT, SCALE = 400, 290, 2  # of a panel; drawn at twice the size: text is legible on dense screens
LEFT, RIGHT, TOP, BOTTOM = 58, 22, 34, 46
ROOM = 0.12  # of an axis, beyond the outermost points

Point = tuple[float, float, str]  # x, y and what is written beside it


@dataclass(frozen=True)
class Panel:
    """curves: points by name, joined in the order of x where there are several. marks: vertical lines, levels:
    horizontal ones, named. logarithmic: the x axis."""

    title: str
    x_name: str
    curves: Mapping[str, Sequence[Point]]
    logarithmic: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)


def save_panels(path: Path, panels: Sequence[Panel], columns: int = 3) -> None:
    """One PNG. Curves of one name have one colour in all panels."""
    rows = ceil(len(panels) / columns)
    image = Image.new("RGB", (min(columns, len(panels)) * WIDTH * SCALE, rows * HEIGHT * SCALE), "white")
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    for place, panel in enumerate(panels):
        corner = place % columns * WIDTH, place // columns * HEIGHT
        _draw(ImageDraw.Draw(image), panel, corner, colours)
    image.save(path)


def _draw(pen: ImageDraw.ImageDraw, panel: Panel, corner: tuple[int, int], colours: Mapping[str, str]) -> None:
    small, bold = ImageFont.load_default(10 * SCALE), ImageFont.load_default(12 * SCALE)
    points = [point for curve in panel.curves.values() for point in curve]
    spot = log10 if panel.logarithmic else float
    left, right = roomy([spot(x) for x, _, _ in points])
    low, high = roomy([y for _, y, _ in points] + list(panel.levels.values()))

    def at(x: float, y: float) -> tuple[float, float]:
        """x: as on the axis, a power of ten where it is logarithmic."""
        across = corner[0] + LEFT + (x - left) / (right - left) * (WIDTH - LEFT - RIGHT)
        down = corner[1] + HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return across * SCALE, down * SCALE

    for level in ticks(low, high):
        pen.line((at(left, level), at(right, level)), fill="#e2e2e2", width=SCALE)
        pen.text((at(left, level)[0] - 6 * SCALE, at(left, level)[1]), f"{level:g}", "#333333", small, anchor="rm")
    for value in decades(10**left, 10**right) if panel.logarithmic else ticks(left, right):
        place = spot(value)
        pen.line((at(place, low), at(place, high)), fill="#e2e2e2", width=SCALE)
        pen.text((at(place, low)[0], at(place, low)[1] + 5 * SCALE), f"{value:g}", "#333333", small, anchor="mt")
    for name, y in panel.levels.items():
        pen.line((at(left, y), at(right, y)), fill="#888888", width=SCALE)
        pen.text((at(right, y)[0] - 4 * SCALE, at(right, y)[1] - 2 * SCALE), name, "#777777", small, anchor="rb")
    for name, x in panel.marks.items():
        pen.line((at(spot(x), low), at(spot(x), high)), fill="#888888", width=SCALE)
        pen.text((at(spot(x), low)[0] + 4 * SCALE, at(0, low)[1] - 4 * SCALE), name, "#777777", small, anchor="lb")
    for name, curve in panel.curves.items():
        placed = [(*at(spot(x), y), told) for x, y, told in sorted(curve)]
        pen.line([(x, y) for x, y, _ in placed], fill=colours[name], width=2 * SCALE)
        for x, y, told in placed:
            dot = 3.5 * SCALE
            pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=colours[name])
            beyond = x + pen.textlength(told, small) > (corner[0] + WIDTH - 10) * SCALE
            aside, down, anchor = (4, 5, "rt") if beyond else (0, -5, "mb") if len(told) == 1 else (4, -5, "lb")
            pen.text((x + aside * SCALE, y + down * SCALE), told, colours[name], small, anchor)
    pen.text(((corner[0] + LEFT) * SCALE, (corner[1] + 8) * SCALE), panel.title, "#333333", bold)
    middle = (corner[0] + (LEFT + WIDTH - RIGHT) / 2) * SCALE
    pen.text((middle, (corner[1] + HEIGHT - 8) * SCALE), panel.x_name, "#333333", small, anchor="mb")


def roomy(values: Sequence[float]) -> tuple[float, float]:
    """The ends of an axis that has all values well inside."""
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers within a range, evenly spaced."""
    unit = 10.0 ** floor(log10(high - low))
    steps = (unit * part for part in (1, 0.5, 0.2, 0.1, 0.05))
    step = next(step for step in steps if floor(high / step) - ceil(low / step) >= 2)
    return [round(step * place, 10) for place in range(ceil(low / step), floor(high / step) + 1)]


def decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten within a range."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [value for power in powers for part in (1, 2, 5) if low <= (value := part * 10.0**power) <= high]
