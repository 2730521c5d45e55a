"""Before and after on one clip: `python scripts/demo.py [VIDEO]`. Without a video it renders a moving scene first.

Into demo/ go the clip with twice the frames, a video with the source on the left and the result on the right, and a PNG
strip of consecutive frames. The rendered scene is known at every instant: its in-betweens are scored against the truth.
"""

import argparse
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import av
import cv2
import numpy as np

from vidcm.core.errors import UserError
from vidcm.interpolation.done import Report
from vidcm.interpolation.plan import Factor
from vidcm.interpolation.progress import Progress
from vidcm.interpolation.stream import interpolate_file
from vidcm.media.reader import open_reader
from vidcm.media.shots import CutDetector

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT, RATE, SECONDS = 448, 256, 15, 2
FACTOR = 2
HALF_WIDTH = 640  # of each half of the comparison, at most
STRIP = 5  # frames side by side in the strip


class Scene:
    """A camera that pans over a textured ground while a ball, a spinning tile and a fence post pass by."""

    def __init__(self, seed: int = 3) -> None:
        random = np.random.default_rng(seed)
        self.ground = noise(random, HEIGHT + 120, WIDTH + 320, (90, 120, 100), 45)
        self.ball = sprite(noise(random, 72, 72, (190, 90, 60), 60), is_round=True)
        self.tile = sprite(noise(random, 76, 76, (70, 100, 190), 60), is_round=False)
        self.post = sprite(noise(random, HEIGHT, 20, (210, 200, 180), 30), is_round=False)

    def at(self, second: float) -> np.ndarray:
        """uint8 RGB [HEIGHT, WIDTH, 3]"""
        camera = 60 * second, 14 * np.sin(2.2 * second)
        view = np.float32([[1, 0, -40 - camera[0]], [0, 1, -60 - camera[1]]])
        frame = cv2.warpAffine(self.ground, view, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        frame = paste(frame, self.tile, (300 - 30 * second, 150 + 20 * np.sin(2 * second)), turn_deg=50 * second)
        frame = paste(
            frame, self.ball, (60 + 150 * second, 190 - 110 * abs(np.sin(2.4 * second))), turn_deg=90 * second
        )
        return paste(frame, self.post, (430 - 190 * second, HEIGHT / 2), turn_deg=0)


def noise(random: np.random.Generator, height: int, width: int, colour: Sequence[int], contrast: float) -> np.ndarray:
    """A texture with detail at every scale, uint8 RGB [height, width, 3]."""
    total = np.zeros((height, width, 3), np.float32)
    for cell in (4, 8, 16, 40, 90):
        grid = random.standard_normal((height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        grid = grid.mean(axis=-1, keepdims=True) + 0.15 * grid
        total += cell**0.3 * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.float32(colour) + contrast * total / total.std(), 0, 255).astype(np.uint8)


def sprite(picture: np.ndarray, is_round: bool) -> np.ndarray:
    """RGBA with a margin, so that turned edges stay smooth."""
    height, width = picture.shape[:2]
    alpha = np.full((height, width), 255, np.uint8)
    if is_round:
        alpha[:] = 0
        cv2.circle(alpha, (width // 2, height // 2), min(width, height) // 2 - 1, 255, -1, cv2.LINE_AA)
    return np.pad(np.dstack([picture, alpha]), ((2, 2), (2, 2), (0, 0)))


def paste(frame: np.ndarray, rgba: np.ndarray, centre: tuple[float, float], turn_deg: float) -> np.ndarray:
    height, width = rgba.shape[:2]
    place = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1.0)
    place[:, 2] += centre[0] - width / 2, centre[1] - height / 2
    layer = cv2.warpAffine(rgba, place, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR).astype(np.float32)
    alpha = layer[..., 3:] / 255
    return (frame * (1 - alpha) + layer[..., :3] * alpha).round().astype(np.uint8)


def render(path: Path) -> None:
    """The scene at RATE frames per second, with a tone that rises as the camera moves."""
    scene = Scene()
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=48000, layout="mono")
        write_pictures(container, (scene.at(i / RATE) for i in range(RATE * SECONDS)), Fraction(RATE), crf=12)
        for packet in tone(sound):
            container.mux(packet)


def tone(stream: av.AudioStream) -> Iterator[av.Packet]:
    for start in range(0, 48000 * SECONDS, 1024):
        second = np.arange(start, start + 1024) / 48000
        wave = 0.2 * np.sin(2 * np.pi * (220 + 55 * second) * second).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        yield from stream.encode(frame)
    yield from stream.encode(None)


def write_pictures(
    container: av.container.OutputContainer, pictures: Iterable[np.ndarray], rate: Fraction, crf: int = 16
) -> None:
    """uint8 RGB [H, W, 3], H and W even, as H.264."""
    stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
    stream.pix_fmt = "yuv420p"
    for index, picture in enumerate(pictures):
        if index == 0:
            stream.height, stream.width = picture.shape[:2]
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
    container.mux(stream.encode(None))


def pairs(before: Path, after: Path) -> Iterator[tuple[np.ndarray, np.ndarray, Fraction]]:
    """(the source frame on show, the output frame, its instant), RGB, for every output frame."""
    with open_reader(before) as source, open_reader(after) as result:
        ahead = iter(source)
        shown, following = next(ahead), next(ahead, None)
        for frame in result:
            while following is not None and following.instant <= frame.instant:
                shown, following = following, next(ahead, None)
            yield shown.rgb, frame.rgb, frame.instant


def side_by_side(before: Path, after: Path, target: Path, rate: Fraction) -> None:
    halves = ((fit(left, "source"), fit(right, "vidcm")) for left, right, _ in pairs(before, after))
    with av.open(str(target), "w") as container:
        write_pictures(container, (np.hstack(both) for both in halves), rate)


def fit(picture: np.ndarray, caption: str) -> np.ndarray:
    """At most HALF_WIDTH wide, even sizes, with its name in the corner."""
    scale = min(1.0, HALF_WIDTH / picture.shape[1])
    width, height = (max(2, round(side * scale / 2) * 2) for side in (picture.shape[1], picture.shape[0]))
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    for colour, thickness in ((0, 3), (255, 1)):
        cv2.putText(small, caption, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (colour,) * 3, thickness, cv2.LINE_AA)
    return small


def strip(before: Path, after: Path, target: Path, start: int) -> None:
    """STRIP consecutive output frames from `start` on: what the source shows above, the result below."""
    chosen = [pair for index, pair in enumerate(pairs(before, after)) if start <= index < start + STRIP]
    rows = [
        np.hstack([fit(pair[row], f"{name} {float(pair[2]):.3f} s") for pair in chosen])
        for row, name in enumerate(("source", "vidcm"))
    ]
    cv2.imwrite(str(target), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))


def score(after: Path) -> tuple[float, float]:
    """Mean PSNR in dB of the rendered scene's in-betweens: (the result, a cross-fade of its neighbours)."""
    with open_reader(after) as reader:
        frames = [frame.rgb for frame in reader][: FACTOR * (RATE * SECONDS - 1) + 1]
    scene = Scene()
    ours, fades = [], []
    for index in range(1, len(frames), FACTOR):
        truth = scene.at(index / (RATE * FACTOR))
        fade = (frames[index - 1].astype(np.float32) + frames[index + 1]) / 2
        ours.append(psnr(frames[index], truth))
        fades.append(psnr(fade, truth))
    return float(np.mean(ours)), float(np.mean(fades))


def psnr(made: np.ndarray, truth: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((made.astype(np.float32) - truth) ** 2))


def interpolate(source: Path, target: Path) -> Report:
    from vidcm.pipelines import FrameInterpolationPipeline, as_interpolator

    interpolator = as_interpolator(FrameInterpolationPipeline.from_pretrained())
    progress, rule = Progress(), Factor(Fraction(FACTOR))
    try:
        return interpolate_file(
            source, target, rule=rule, interpolator=interpolator, detector=CutDetector(), progress=progress
        )
    finally:
        progress.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video", nargs="?", type=Path, help="a video of yours")
    parser.add_argument("--out", type=Path, default=ROOT / "demo", help="folder to write to")
    options = parser.parse_args()
    started = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    source = options.video or options.out / "before.mp4"
    if options.video is None:
        render(source)
    after, compared, picture = (options.out / name for name in ("after.mp4", "side_by_side.mp4", "strip.png"))
    report = interpolate(source, after)
    rate = Fraction(report.frames_out) / Fraction(report.duration_s).limit_denominator(10**6)
    side_by_side(source, after, compared, rate.limit_denominator(10**5))
    strip(source, after, picture, start=report.frames_out // 3 // FACTOR * FACTOR)

    print(f"before        {source}: {report.frames_in} frames, {float(rate) / FACTOR:.3f} per second")
    print(f"after         {after}: {report.frames_out} frames, {float(rate):.3f} per second")
    print(f"side by side  {compared}\nstrip         {picture}")
    if options.video is None:
        ours, fade = score(after)
        print(f"in-betweens   {ours:.2f} dB PSNR against the true scene; a cross-fade has {fade:.2f} dB")
    each = report.wall_s / max(report.frames_made, 1)
    print(f"time          {report.wall_s:.1f} s for {report.frames_made} in-betweens, {each:.2f} s each; ", end="")
    print(f"{time.monotonic() - started:.1f} s in all")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"Error: {error}") from None
