"""A short run that is killed with SIGKILL at every n-th of its events, and resumed: the file that is left in the end.

Events are pictures made and whatever touches the disk. `titled`: with a line of text before moving ground, kept still.

    python -m tests.interpolation.killing FOLDER EVERY NAME [titled]
"""

import itertools
import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from tests.interpolation import titles
from tests.killing import came_to_its_end
from vidcm.interpolation import segments
from vidcm.interpolation.journal import ANEW, GO_ON, folder_of
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.parts import PartWriter
from vidcm.media.writer import VideoWriter

EVENTS = [
    (os, "replace"),
    (os, "fsync"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (shutil, "rmtree"),
    (PartWriter, "add"),
    (PartWriter, "finish"),
    (VideoWriter, "add_part"),
    (VideoWriter, "finish"),
]


def fade(first, last, taus, **_):
    return torch.stack([torch.lerp(first, last, tau) for tau in taus], dim=1)


def run(source: Path, target: Path, *, kill: int = -1, resume: str = ANEW, overlays: bool) -> bool:
    """Returns whether it came to its end."""

    def work() -> None:
        how = {"rule": Factor(Fraction(2)), "settings": lambda: {"IN": "this"}, "overlays": overlays}
        interpolate_file(source, target, resume=resume, interpolator=titles.moves if titled else fade, **how)

    return came_to_its_end(work, target.with_suffix(".log"), EVENTS, kill)


def write_source(path: Path) -> None:
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def written(target: Path) -> dict[str, bytes]:
    """The files of an output that have their names."""
    return {file.name: file.read_bytes() for file in target.parent.glob(f"[!.]*{target.suffix}")}


def named(run: str) -> Path:
    """The output of a run, in a folder of its own."""
    (folder / run).mkdir()
    return folder / run / sys.argv[3]


if __name__ == "__main__":
    folder, titled = Path(sys.argv[1]), sys.argv[4:] == ["titled"]
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    segments.FRAMES = segments.LEAST_FRAMES = 8
    source = folder / ("in.mkv" if titled else "in.mp4")
    titles.write(source, map(titles.picture, range(18))) if titled else write_source(source)
    run(source, whole := named("whole"), overlays=titled)
    if titled and run(source, plain := named("plain"), overlays=False) and written(plain) == written(whole):
        raise SystemExit("the title made no difference")
    for kill in itertools.count(0, int(sys.argv[2])):
        target = named(f"killed-{kill}")
        if run(source, target, kill=kill, overlays=titled):
            break  # past the last event
        for again in (kill + 5, -1):  # killed once more, elsewhere, if it gets that far
            if not written(target) or (folder_of(target) / "journal.json").exists():
                run(source, target, resume=GO_ON, kill=again, overlays=titled)
        if written(target) != written(whole):
            raise SystemExit(f"killed at event {kill}: another file than without")
        for file in target.parent.glob(f"*{target.suffix}"):
            file.unlink()
    print(len(list(folder.glob("killed-*/*.log"))))
