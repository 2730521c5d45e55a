"""Precision and recall of the finder of repeats: `python -m benchmarks.repeats FOOTAGE/clips`.

Clips of the footage, which have none, are made to have some: on twos, 24 a second shown at 30, every eighth frame lost
and the one before shown again; as they are or with noise as a scanner adds it, through H.264 at two qualities. What
repeats the last picture counts as none: nothing follows.
"""

import argparse
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product
from pathlib import Path

import av
import numpy as np

from vidcm.data.splits import list_videos
from vidcm.media.reader import open_reader
from vidcm.media.repeats import RepeatFinder

WANTED = 0.95  # of precision
FRAMES = 40  # of each clip
NOISES, QUALITIES = (0.0, 4.0), (18, 28)  # grey levels; crf


def lost(count: int) -> list[int]:
    places = list(range(count))
    for at in range(8, count - 3, 8):
        places[at] = places[at - 1]
    return places


CADENCES: Mapping[str, Callable[[int], list[int]]] = {
    "none": lambda count: list(range(count)),
    "twos": lambda count: [index // 2 * 2 for index in range(count)],
    "24 in 30": lambda count: [index * 4 // 5 for index in range(count)],
    "lost": lost,
}


def coded(pictures: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """Through H.264. uint8 RGB [H, W, 3], of even size."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def measure(folder: Path, split: str, sources: int) -> dict[str, Counter[str]]:
    """Condition -> how many repeats there were, were found, and were found where there are none."""
    told: dict[str, Counter[str]] = {}
    entries = {entry.source or entry.file: entry for entry in list_videos(folder) if entry.split == split}
    for entry in islice(entries.values(), sources):
        with open_reader(folder / entry.file) as reader:
            clip = [_even(frame.rgb) for frame in islice(reader, FRAMES)]
        for (cadence, places_of), noise, crf in product(CADENCES.items(), NOISES, QUALITIES):
            counts = told.setdefault(f"{cadence}, noise {noise:g}, crf {crf}", Counter())
            counts.update(found_in(clip, places_of(len(clip)), noise, crf))
    return told


def found_in(clip: Sequence[np.ndarray], places: Sequence[int], noise: float, crf: int) -> dict[str, int]:
    """Of a clip that shows its pictures `places` one after the other."""
    end, random = places.index(places[-1]), np.random.default_rng(0)
    there = {index for index in range(1, end) if places[index] == places[index - 1]}
    noisy = (clip[place] + random.normal(0, noise, clip[place].shape) for place in places)
    finder = RepeatFinder()
    for picture in coded([each.clip(0, 255).astype(np.uint8) for each in noisy], crf):
        finder.add(picture)
    found = set(finder.finish())
    return {"frames": len(places), "there": len(there), "found": len(found & there), "false": len(found - there)}


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return picture[: height // 2 * 2, : width // 2 * 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clips", type=Path, help="folder with a manifest.csv that has columns source and split")
    parser.add_argument("--split", default="val", help="which rows of it; thresholds are chosen on train")
    parser.add_argument("--sources", type=int, default=100, help="at most so many, one clip each")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    told = measure(options.clips, options.split, options.sources)
    for condition, counts in told.items():
        recall = f"recall {counts['found'] / counts['there']:.3f}" if counts["there"] else ""
        print(
            f"{condition:<28}{counts['there']:>5} there {counts['found']:>5} found {counts['false']:>4} false  {recall}"
        )
    total = sum(told.values(), Counter())
    precision = total["found"] / (total["found"] + total["false"])
    print(f"precision {precision:.3f} of {WANTED}, recall {total['found'] / total['there']:.3f}")
    if options.json:
        options.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
