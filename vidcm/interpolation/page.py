"""The report as one HTML file: how sure the model was along the video, and pictures of where it was least so."""

import base64
from collections.abc import Iterator, Mapping
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any

from vidcm.interpolation.ledger import Ledger, Picture

COLUMNS, HEIGHT = 960, 80  # of the strip, pixels
KINDS = {"made": "made", "hold": "held instead", "crossfade": "cross-faded instead"}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1000px; padding: 0 1em; color: #222 }
figure { display: inline-block; margin: 0 1em 1.5em 0; width: 300px; vertical-align: top }
figure img { max-width: 100%; display: block } figcaption { font-size: 13px; color: #555 }
svg { width: 100%; height: auto; background: #f4f4f4 }
"""


def page(report: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    """Parts of the page. report: of the whole file."""
    name = escape(Path(report["target"]).name)
    yield f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{name}</title>\n<style>{STYLE}</style>\n"
    yield f"<h1>{name}</h1>\n<p>{report['frames_out']} frames from {report['frames_in']} of "
    yield f"{escape(Path(report['source']).name)}, {report['frames_made']} made, {report['duration_s']:.3f} s. "
    below = f"score below {ledger.doubtful:g}"
    are_shown = f"{ledger.doubtful_count} of those made {below}."
    yield f"{ledger.doubtful_count} others {below} and are not shown." if report.get("frames_replaced") else are_shown
    from vidcm.interpolation.brightness import flicker  # numpy, which wrong use need not wait for

    pulse = flicker(ledger.entries())
    yield "" if pulse is None else f" They differ from the brightness of their neighbours by {pulse:.2f} of 255."
    flashes = len(report.get("flashes", ()))
    yield f" {flashes} source frame{'s' * (flashes > 1)} lit by a flash stood aside." if flashes else ""
    yield f"{_clock(report)}</p>\n"
    yield "<h2>Doubt along the video</h2>\n<p>Tall and red where the lowest score is low; grey lines are cuts.</p>\n"
    yield from _strip(report, ledger)
    worst = ledger.worst()
    yield "<h2>The least sure</h2>\n<p>One of each pair of source frames, the lowest first.</p>\n" if worst else ""
    yield from map(_figure, worst)
    overlays = [_overlay(found, report) for found in report.get("overlays", ())]
    if overlays:
        yield "<h2>Kept still</h2>\n<ul>" + "".join(f"<li>{each}</li>" for each in overlays) + "</ul>\n"
    notes = [*report["problems"], *(f"not kept: {each}" for each in report["dropped"])]
    if notes:
        yield "<h2>Notes</h2>\n<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>\n"
    yield "</html>\n"


def _strip(report: Mapping[str, Any], ledger: Ledger) -> Iterator[str]:
    """A bar for each column of the video: the higher, the less sure."""
    lowest: dict[int, float] = {}
    cuts: dict[int, None] = {}
    for entry in ledger.entries():
        column = min(COLUMNS - 1, entry.index * COLUMNS // max(1, report["frames_out"]))
        if entry.score is not None:
            lowest[column] = min(lowest.get(column, 1.0), entry.score)
        if entry.kind == "cut":
            cuts[column] = None
    width = max(1, COLUMNS // max(1, report["frames_out"]))
    yield f"<svg viewBox='0 0 {COLUMNS} {HEIGHT}' role='img' aria-label='doubt along the video'>\n"
    for column, score in lowest.items():
        tall, colour = (1 - score) * HEIGHT, "#c0392b" if score < ledger.doubtful else "#7fa7c9"
        yield f"<rect x='{column}' y='{HEIGHT - tall:.1f}' width='{width}' height='{tall:.1f}' fill='{colour}'/>\n"
    for column in cuts:
        yield f"<rect x='{column}' y='0' width='1' height='{HEIGHT}' fill='#999'/>\n"
    yield "</svg>\n"


def _clock(report: Mapping[str, Any]) -> str:
    """Which the times on the page are of, where the output's is not the source's."""
    start_s, slower = report["start_s"], Fraction(report["times_slower"])
    begins = f" begins at {start_s:.3f} s of the source" if start_s else ""
    lasts = f" is {float(slower):.6g} times slower" if slower != 1 else ""
    said = " and".join(filter(None, (begins, lasts)))
    return f" Times are of the output, which{said}; source frames count from the source's first." if said else ""


def _overlay(found: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    size = f"{found['width']}x{found['height']} pixels at {found['x']}, {found['y']}"
    slower = float(Fraction(report["times_slower"]))
    begin, end = (slower * (found[name] - report["start_s"]) for name in ("from_s", "to_s"))
    return f"{size}: {begin:.3f} s to {end:.3f} s, in {found['frames']} source frames"


def _figure(picture: Picture) -> str:
    entry = picture.entry
    data = base64.b64encode(picture.jpeg).decode("ascii")
    told = f"frame {entry.index} at {float(entry.instant):.3f} s, between source frames {entry.first} and "
    told += f"{entry.last} (tau {float(entry.tau):.3g}), {KINDS[entry.kind]}"
    return (
        f"<figure><img src='data:image/jpeg;base64,{data}' alt='frame {entry.index}'>"
        f"<figcaption><b>{entry.score:.2f}</b> {told}</figcaption></figure>\n"
    )
