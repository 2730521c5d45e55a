"""Choose how a motion model is sampled, on validation clips, and store it with the weights.

    python scripts/choose_sampling.py MODEL FOOTAGE/clips [--split val] [--seeds 2] [--pairs 1] [--device cuda]

Middle angle, temperature, trust, spread and sides of vidcm/models/scheduler.py, from the grid below: of the points
whose single sample is at least half as far above the draft (no step) in PSNR as the best one's, that with the best
energy score (a proper score: it rewards being right and knowing one's doubt). Prints every point it measured.
"""

import json
from itertools import product
from pathlib import Path

import click
import torch

NAMES = ("middle", "temperature", "trust", "spread", "sides")
MIDDLES = (1.2, 1.5)  # radians
TEMPERATURES = (1.0, 1.3)
TRUSTS = (0.9, 1.0)
SPREADS = (0.05, 0.08, 0.1)
SIDES = (0.0, 0.12, 0.16)


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("--split", default="val", show_default=True)
@click.option("--seeds", default=2, show_default=True, help="Samples per pair.")
@click.option("--pairs", default=1, show_default=True, help="Pairs per clip.")
@click.option("--device", default="cpu", show_default=True)
def main(model: Path, clips: Path, split: str, seeds: int, pairs: int, device: str) -> None:
    from vidcm.evaluation.windows import find_clips, read_windows
    from vidcm.models.scheduler import ConsistencyScheduler
    from vidcm.pipelines import FrameInterpolationPipeline

    pipe = FrameInterpolationPipeline.from_pretrained(model).to(device)
    paths = find_clips([clips], split)
    windows = [w for path in paths for w in read_windows(path, 448, 256, 2, pairs) if not w.cut]
    asked = [what_to_ask(pipe, window) for window in windows]
    start = pipe.scheduler.config.start

    def measured(*point: float, steps: int = 2) -> tuple[float, float]:
        pipe.scheduler = ConsistencyScheduler(start, *point)
        each = [score(pipe, *pair, seeds, steps) for pair in zip(windows, asked, strict=True)]
        scores = torch.tensor(each).mean(0).tolist()
        told = dict(zip(NAMES, point, strict=False))
        told |= dict(zip(("energy", "psnr", "psnr_of_mean"), scores, strict=True))
        print(json.dumps({"steps": steps, **told}), flush=True)
        return scores[0], scores[1]

    _, draft = measured(steps=0)
    points = {point: measured(*point) for point in product(MIDDLES, TEMPERATURES, TRUSTS, SPREADS, SIDES)}
    point = best(points, least=(draft + max(psnr for _, psnr in points.values())) / 2)
    ConsistencyScheduler(start, *point).save_pretrained(model / "scheduler")
    told = dict(zip(NAMES, point, strict=True))
    print(f"stored in {model / 'scheduler'}: {told}")


def best(points: dict[tuple[float, ...], tuple[float, float]], least: float) -> tuple[float, ...]:
    """points: settings -> (energy, PSNR); least: the PSNR that it must have."""
    return min((p for p, (_, psnr) in points.items() if psnr >= least), key=lambda p: points[p][0])


def what_to_ask(pipe, window) -> dict:
    """A call's arguments, with the motion in the window, which is measured once for all points."""
    around = window.around.batched(pipe.device)
    ends = window.first[None].to(pipe.device), window.last[None].to(pipe.device)
    looks = tuple(None if x is None else pipe.family.look(x) for x in (*ends, around.before, around.after))
    place = {"shot": window.shot, "position": window.position}
    tau = [float(tau) for tau in window.taus]
    return {"first": ends[0], "last": ends[1], "tau": tau, "around": around, "looks": looks, **place}


def score(pipe, window, asked: dict, seeds: int, steps: int) -> tuple[float, float, float]:
    """Energy score, PSNR of one sample, PSNR of the mean, of the frames between the ends of a window."""
    from vidcm.metrics.energy import patch_energy_score
    from vidcm.metrics.psnr import psnr

    drawn = (pipe(**asked, seed=seed, num_inference_steps=steps) for seed in range(seeds if steps else 1))
    samples = torch.stack([made.frames[0].cpu().transpose(0, 1) for made in drawn]).mul(255).round() / 255
    means = (psnr(samples, window.truth), psnr(samples.mean(0), window.truth))
    return patch_energy_score(samples, window.truth).mean().item(), *(m.mean().item() for m in means)


if __name__ == "__main__":
    main()
