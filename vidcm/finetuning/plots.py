"""Curves as SVG, written by hand: a report needs two of them, and no plotting library for it."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 34, 40
COLOURS = ("#1f77b4", "#d65f00", "#2a8c3c", "#8e44ad")

Curve = Sequence[tuple[float, float]]


def chart(curves: Mapping[str, Curve], title: str, x_name: str) -> str:
    """Curves over one pair of axes, each named in its colour. A single point is a dot."""
    points = [point for curve in curves.values() for point in curve]
    (x_low, x_high), (y_low, y_high) = (_range([point[axis] for point in points]) for axis in (0, 1))

    def place(x: float, y: float) -> str:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        down = TOP + (y_high - y) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = [_text(LEFT, 16, title, weight="bold"), _text(WIDTH / 2, HEIGHT - 8, x_name, anchor="middle")]
    for y in ticks(y_low, y_high):
        (left, down), (right, _) = (place(x, y).split(",") for x in (x_low, x_high))
        parts.append(f'<line x1="{left}" y1="{down}" x2="{right}" y2="{down}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, float(down) + 4, f"{y:g}", anchor="end"))
    for x in ticks(x_low, x_high):
        parts.append(_text(float(place(x, y_low).split(",")[0]), HEIGHT - 24, f"{x:g}", anchor="middle"))
    for number, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(place(*point) for point in curve)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for point in curve if len(curve) < 40 else []:
            across, down = place(*point).split(",")
            parts.append(f'<circle cx="{across}" cy="{down}" r="2.5" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT - 110 * (len(curves) - 1 - number), 16, name, anchor="end", colour=colour))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers within a range, some three to eight of them."""
    rough = (high - low) / about
    unit = 10.0 ** floor(log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough * 0.999)
    return [round(step * i, 10) for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or max(abs(low), 1.0) * 0.05
    return low - margin, high + margin


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", colour: str = "#333") -> str:
    look = f'text-anchor="{anchor}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'
