"""What `--overlays auto` is worth: `python -m benchmarks.overlays FOOTAGE/clips FOOTAGE/samples`.

Titles are drawn on clips (`benchmarks/titles.py`), opaque, half transparent and as thin coloured lines, and each frame
is compressed; every second one is dropped and rebuilt, with overlays looked for and without. PSNR in dB inside of the
titles, within RING pixels around them, and elsewhere. Where a subtitle comes or goes nobody can know when: its place is
judged by the nearer of both answers. The clips as they are show what is found where nothing is, and what it costs;
`--claims` tells of each clip, at its own size and rate, for how long anything is taken for an overlay, without frames
being made.
"""

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.methods import interpolator_of
from benchmarks.titles import HAIR, LAYERS, THIN, Drawn, lasts, opacity_at, subtitles, titled
from vidcm.interpolation.overlays import Overlays
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.render import Interpolator, Renderer
from vidcm.interpolation.rendered import Shown, Tally
from vidcm.interpolation.shots import CutDetector
from vidcm.interpolation.works import Planner
from vidcm.media.reader import VideoFrame, open_reader, read_clip

Layers = Sequence[Drawn]
KINDS: dict[str, tuple[float, Layers]] = {  # opacity, and what is drawn
    "as it is": (0.0, ()),
    "opaque": (1.0, LAYERS),
    "half": (0.5, LAYERS),
    "thin": (1.0, THIN),
    "hair": (1.0, HAIR),
    "half hair": (0.5, HAIR),
}
RING = 12  # pixels
LARGEST = 480  # pixels of the short side: larger clips are halved
LENGTH = 92  # frames of a clip
JPEG = 88  # quality: the noise that a codec leaves


def clips(places: Sequence[Path]) -> Iterator[Path]:
    """Files, and of a folder with a manifest its validation clips, or all where it has no split."""
    for place in places:
        if place.is_file():
            yield place
            continue
        with (place / "manifest.csv").open(encoding="utf-8", newline="") as file:
            yield from (place / row["file"] for row in csv.DictReader(file) if row.get("split", "val") == "val")


def clean_pictures(path: Path) -> list[np.ndarray]:
    frames, _ = read_clip(path, 0, None)
    short = min(frames.shape[1:3])
    size = tuple(2 * (side * min(short, LARGEST) // short // 2) for side in frames.shape[2:0:-1])
    return [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames[:LENGTH]]


def shown(picture: np.ndarray, index: int, kind: str) -> np.ndarray:
    """With all that is in front of frame `index`."""
    opacity, layers = KINDS[kind]
    return _compressed(titled(picture, index, opacity, layers)) if layers else picture


def stays(place: int, kind: str) -> bool:
    """Whether what is drawn is the same in the frames before and behind the one that is rebuilt."""
    return subtitles not in KINDS[kind][1] or lasts(place - 1, place + 1)


def chosen(count: int, pairs: int, kind: str) -> list[int]:
    """Frames to rebuild: `pairs` evenly over the clip, and those where a subtitle comes or goes."""
    places = range(1, count - 1, 2)
    judged = [place for place in places if stays(place, kind)]
    return [judged[each] for each in sorted(set(np.linspace(0, len(judged) - 1, pairs).round().astype(int)))] + [
        place for place in places if not stays(place, kind)
    ]


def rebuilt(
    pictures: Sequence[np.ndarray],
    interpolate: Interpolator,
    wanted: Sequence[int],
    overlays: Overlays | None,
    detector: CutDetector | None = None,
) -> tuple[dict[int, np.ndarray], list[float]]:
    """Index -> frame made in its place, of those wanted; and the share of each frame that is held."""
    frames = [
        VideoFrame(index, Fraction(index, 24), Fraction(1, 24), lambda kept=kept: kept)  # type: ignore[misc]
        for index, kept in enumerate(pictures[::2])
    ]
    planner, renderer = Planner(Factor(Fraction(2)), detector, overlays=overlays), Renderer(interpolate)
    made, held = dict[int, np.ndarray](), list[float]()
    for work in planner.works(overlays.watch(frames) if overlays else frames, Tally()):
        first = work.step.first
        held.append(0.0 if first.until is None else float((first.until > 0.5).mean()))
        places = {round(48 * each.instant) for each in work.planned}
        if places & set(wanted) and work.step.last is not None:
            shown = [each for each in renderer.render(work) if each.planned.tau]
            made |= {round(48 * each.planned.instant): samples_of(each.shown) for each in shown}
    return made, held


def samples_of(shown: Shown) -> np.ndarray:
    return shown.rgb if isinstance(shown, VideoFrame) else shown


def psnr(made: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    error = np.square(made[where].astype(np.float64) - truth[where]).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def regions(size: tuple[int, int], place: int, kind: str) -> dict[str, np.ndarray]:
    layers = KINDS[kind][1]
    if not layers:
        return {"whole": np.ones(size, bool)}
    if not stays(place, kind):
        before, behind = (subtitles(*size, each)[1] for each in (place - 1, place + 1))
        return {"change": np.abs(before - behind) > 0.1}
    inside = opacity_at(*size, place, layers) > 0.1
    near = cv2.dilate(inside.astype(np.uint8), np.ones((2 * RING + 1, 2 * RING + 1))) > 0
    return {"inside": inside, "around": near & ~inside, "elsewhere": ~near}


def measure(path: Path, kind: str, interpolate: Interpolator, pairs: int) -> dict[str, Any]:
    """PSNR with overlays kept, and without, by region; held: share of the pictures that is taken for one."""
    clean = clean_pictures(path)
    pictures, wanted = [shown(each, index, kind) for index, each in enumerate(clean)], chosen(len(clean), pairs, kind)
    kept, held = rebuilt(pictures, interpolate, wanted, Overlays())
    plain = rebuilt(pictures, interpolate, wanted, None)[0]
    found: dict[str, list[tuple[float, float]]] = {}
    for place, made in kept.items():
        answers = [pictures[place]] if stays(place, kind) else [shown(clean[place], place + by, kind) for by in (-1, 1)]
        for name, where in regions(made.shape[:2], place, kind).items():
            both = (max(psnr(each, answer, where) for answer in answers) for each in (plain[place], made))
            found.setdefault(name, []).append(tuple(both))  # type: ignore[arg-type]
    told = {name: np.mean(each, axis=0).round(3).tolist() for name, each in found.items()}
    return {"clip": path.name, "kind": kind, "held": float(np.mean(held)), "psnr": told}


def claims(path: Path) -> tuple[float, float, float]:
    """Seconds for which something is taken for an overlay, the clip's own, and the share of its pictures that is."""
    overlays, held, shown = Overlays(), list[float](), Fraction(0)
    with open_reader(path) as reader:
        for frame in overlays.watch(reader):
            overlay, shown = overlays.of(frame), shown + frame.duration
            held.append(0.0 if overlay is None else float((overlay > 0.5).mean()))
    seconds = float(shown)
    return seconds * np.count_nonzero(held) / len(held), seconds, float(np.mean(held))


def tell_claims(paths: Sequence[Path]) -> None:
    told = [claims(path) for path in paths]
    for path, (claimed, seconds, held) in zip(paths, told, strict=True):
        if claimed:
            print(f"{path.name:<28}{claimed:.2f} of {seconds:.2f} s  held {held:.5f}")
    claimed, seconds, held_s = np.sum([(each[0], each[1], each[2] * each[1]) for each in told], axis=0)
    some = sum(each[0] > 0 for each in told)
    print(f"{some} of {len(told)} clips, {claimed:.1f} of {seconds:.1f} s, {held_s:.3f} s times the share that is held")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, nargs="+", help="files, or folders with a manifest.csv")
    parser.add_argument("--method", default="vidcm", help="vidcm, or a baseline such as dis")
    parser.add_argument("--model", help="directory; the shipped model by default")
    parser.add_argument("--pairs", type=int, default=4, help="rebuilt frames of each clip")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    parser.add_argument("--json", type=Path, help="write the result here")
    parser.add_argument("--claims", action="store_true", help="only tell for how long anything is taken for an overlay")
    options = parser.parse_args()
    if options.claims:
        tell_claims(list(clips(options.clips)))
        return
    interpolate, rows = interpolator_of(options.method, options.model), []
    for kind in options.kinds.split(","):
        for path in clips(options.clips):
            rows.append(measure(path, kind, interpolate, options.pairs))
            print(_line(rows[-1]["clip"], [rows[-1]]), flush=True)
        print(_line(f"{kind}: mean", [row for row in rows if row["kind"] == kind]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    """Regions with PSNR without and with overlays kept, means over clips."""
    each = (
        f"{region} {' -> '.join(f'{db:.2f}' for db in np.mean([row['psnr'][region] for row in rows], axis=0))}"
        for region in rows[0]["psnr"]
    )
    return f"{name:<28}held {np.mean([row['held'] for row in rows]):.4f}  {'  '.join(each)}"


def _compressed(picture: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG])
    return np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


if __name__ == "__main__":
    main()
