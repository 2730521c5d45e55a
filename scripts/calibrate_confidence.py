"""Fit the confidence score of a motion model to its true errors on held-back frames, and store it with the weights.

    python scripts/calibrate_confidence.py MODEL FOOTAGE/clips [--pairs 3] [--factors 2,4] [--every 1] [--device cuda]

Every second frame (and then three of four) is dropped, rebuilt at 448x256 and compared with the truth. Whether the
scores order the frames of other clips is told by `vidcm evaluate interpolation FOOTAGE/clips --split val`.
"""

import json
from pathlib import Path

import click
import torch


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("--split", default="train", show_default=True)
@click.option("--pairs", default=3, show_default=True, help="Pairs per clip.")
@click.option("--every", default=1, show_default=True, help="Only every N-th clip.")
@click.option("--factors", default="2,4", show_default=True, help="Keep every second frame, then every fourth.")
@click.option("--device", default="cpu", show_default=True)
def main(model: Path, clips: Path, split: str, pairs: int, every: int, factors: str, device: str) -> None:
    from vidcm.evaluation.score import as_8_bit
    from vidcm.evaluation.windows import find_clips, read_windows
    from vidcm.metrics.psnr import psnr
    from vidcm.pipelines import FrameInterpolationPipeline
    from vidcm.pipelines.confidence import fit, mean_squared_doubt

    pipe = FrameInterpolationPipeline.from_pretrained(model).to(device)
    doubts, near = [], []
    for path in find_clips([clips], split)[::every]:
        for factor in map(int, factors.split(",")):
            for window in read_windows(path, 448, 256, factor, pairs):
                if window.cut:
                    continue
                taus = [float(tau) for tau in window.taus]
                ends, around = (window.first[None].to(device), window.last[None].to(device)), window.around
                made = pipe(*ends, taus, around=around.batched(pipe.device), position=window.position)
                doubts.append(mean_squared_doubt(made.confidence[0, 0]).cpu())
                near.append(psnr(as_8_bit(made.frames[0].cpu().transpose(0, 1), path.name), window.truth))
    calibration = fit(torch.cat(doubts), torch.cat(near))
    calibration.save(model)
    print(json.dumps({"frames": len(torch.cat(near)), **vars(calibration)}))


if __name__ == "__main__":
    main()
