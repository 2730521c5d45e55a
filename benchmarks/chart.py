"""Curves over a logarithmic axis, as a PNG."""

from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, SCALE = 760, 420, 2  # drawn at twice the size: text is legible on dense screens
LEFT, RIGHT, TOP, BOTTOM = 64, 130, 40, 52
COLOURS = ("#1f77b4", "#d65f00", "#2a8c3c", "#8e44ad", "#c0392b", "#117a8b", "#7f6000", "#555555")

Curve = Sequence[tuple[float, float]]


def save_chart(
    path: Path, curves: Mapping[str, Curve], title: str, x_name: str, y_name: str, floors: Mapping[str, float]
) -> None:
    """x above 0, on an axis of doublings; y from 0. floors: horizontal lines, named."""
    points = [point for curve in curves.values() for point in curve]
    low, high = (log2(edge(x for x, _ in points)) + by for edge, by in ((min, -0.3), (max, 0.3)))
    top = 1.08 * max([y for _, y in points] + list(floors.values()))
    image = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), "white")
    pen, font, bold = ImageDraw.Draw(image), ImageFont.load_default(11 * SCALE), ImageFont.load_default(13 * SCALE)

    def at(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (log2(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        return across * SCALE, (TOP + (1 - y / top) * (HEIGHT - TOP - BOTTOM)) * SCALE

    left, right = 2**low, 2**high
    for i in range(6):
        level = top * i / 5
        pen.line((at(left, level), at(right, level)), fill="#dddddd", width=SCALE)
        pen.text((at(left, level)[0] - 8, at(left, level)[1]), f"{level:.2f}", "#333333", font, anchor="rm")
    for x in doublings(left, right):
        pen.text((at(x, 0)[0], at(x, 0)[1] + 8 * SCALE), f"{x:g}", "#333333", font, anchor="mt")
    for name, level in floors.items():
        pen.line((at(left, level), at(right, level)), fill="#999999", width=SCALE)
        pen.text((at(right, level)[0] + 8, at(right, level)[1]), name, "#777777", font, anchor="lm")
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        placed = [at(*point) for point in sorted(curve)]
        pen.line(placed, fill=colour, width=2 * SCALE)
        for x, y in placed:
            pen.ellipse((x - 3 * SCALE, y - 3 * SCALE, x + 3 * SCALE, y + 3 * SCALE), fill=colour)
        pen.text(((WIDTH - RIGHT + 14) * SCALE, (TOP + 18 * number) * SCALE), name, colour, font)
    pen.text((LEFT * SCALE, 12 * SCALE), title, "#333333", bold)
    pen.text(((LEFT + WIDTH - RIGHT) / 2 * SCALE, (HEIGHT - 10) * SCALE), x_name, "#333333", font, anchor="mb")
    pen.text((8 * SCALE, (TOP - 8) * SCALE), y_name, "#333333", font, anchor="lb")
    image.save(path)


def doublings(low: float, high: float) -> list[float]:
    """Powers of two in a range, at most nine of them."""
    first = -40
    found = [2.0**power for power in range(first, 41) if low <= 2.0**power <= high]
    return found[:: 1 + len(found) // 10]
