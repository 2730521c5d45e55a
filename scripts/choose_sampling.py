"""Choose the temperature and the middle angle of a motion model on validation clips, and store them with the weights.

    python scripts/choose_sampling.py MODEL FOOTAGE/clips [--split val] [--seeds 2] [--pairs 1]

First the temperature, at the stored middle angle; then the middle angle at that temperature. Each time the best energy
score of two-step samples (a proper score: it rewards being right and knowing one's doubt) among the points whose single
sample is as near to the truth as the draft (no step) in PSNR, or nearest. Prints every point it measured.
"""

import json
from pathlib import Path

import click
import torch

TEMPERATURES = (0.0, 0.2, 0.35, 0.5, 0.7, 1.0)
MIDDLES = (0.3, 0.5, 0.8, 1.01, 1.3)  # radians


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("--split", default="val", show_default=True)
@click.option("--seeds", default=2, show_default=True, help="Samples per pair.")
@click.option("--pairs", default=1, show_default=True, help="Pairs per clip.")
def main(model: Path, clips: Path, split: str, seeds: int, pairs: int) -> None:
    from vidcm.evaluation.windows import find_clips, read_windows
    from vidcm.models.scheduler import ConsistencyScheduler
    from vidcm.pipelines import FrameInterpolationPipeline

    pipe = FrameInterpolationPipeline.from_pretrained(model)
    paths = find_clips([clips], split)
    windows = [w for path in paths for w in read_windows(path, 448, 256, 2, pairs) if not w.cut]
    start, middle = pipe.scheduler.config.start, pipe.scheduler.config.middle

    def measured(temperature: float, middle: float, steps: int = 2) -> tuple[float, float]:
        pipe.scheduler = ConsistencyScheduler(start, middle, temperature)
        scores = torch.tensor([score(pipe, window, seeds, steps) for window in windows]).mean(0).tolist()
        told = dict(zip(("energy", "psnr", "psnr_of_mean"), scores, strict=True))
        print(json.dumps({"steps": steps, "temperature": temperature, "middle": round(middle, 4), **told}), flush=True)
        return scores[0], scores[1]

    _, draft = measured(0.0, middle, steps=0)
    by_temperature = {t: measured(t, middle) for t in TEMPERATURES}
    least = min(draft, max(psnr for _, psnr in by_temperature.values()))
    temperature = best(by_temperature, least)
    if temperature:
        by_middle = {m: measured(temperature, m) for m in MIDDLES} | {middle: by_temperature[temperature]}
        middle = best(by_middle, least)
    ConsistencyScheduler(start, middle, temperature).save_pretrained(model / "scheduler")
    print(f"stored in {model / 'scheduler'}: temperature {temperature}, middle {middle:.4f}")


def best(points: dict[float, tuple[float, float]], least: float) -> float:
    """points: setting -> (energy, PSNR); least: the PSNR that it must have."""
    return min((p for p, (_, psnr) in points.items() if psnr >= least), key=lambda p: points[p][0])


def score(pipe, window, seeds: int, steps: int) -> tuple[float, float, float]:
    """Energy score, PSNR of one sample, PSNR of the mean, of the frames between the ends of a window."""
    from vidcm.metrics.energy import patch_energy_score
    from vidcm.metrics.psnr import psnr

    tau = [float(tau) for tau in window.taus]
    ends, key = (window.first[None], window.last[None]), {"shot": window.shot, "position": window.position}
    key["num_inference_steps"] = steps
    samples = [pipe(*ends, tau, seed=seed, **key).frames[0].transpose(0, 1) for seed in range(seeds)]
    samples = torch.stack(samples).mul(255).round() / 255
    means = (psnr(samples, window.truth), psnr(samples.mean(0), window.truth))
    return patch_energy_score(samples, window.truth).mean().item(), *(m.mean().item() for m in means)


if __name__ == "__main__":
    main()
