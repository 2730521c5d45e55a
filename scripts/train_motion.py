"""Train the shipped interpolator from a folder of clips: the cache, three stages, the sampling settings, the package.

    python scripts/train_motion.py FOOTAGE/clips

Each stage is `vidcm train`, resumable; running this again continues where it stopped. On two CPU cores: an hour.
"""

import subprocess
import sys
from pathlib import Path

import click

STAGES = ("vae", "diffusion", "ect")


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--ship", is_flag=True, help="Put the result into vidcm/assets/motion.")
def main(clips: Path, ship: bool) -> None:
    root = Path(__file__).parents[1]
    for stage in STAGES:
        config = root / "configs" / "runs" / f"motion_{stage}.yaml"
        run("-m", "vidcm.cli.main", "train", config, f"data.footage={clips}", "--resume")
    model = Path("runs/motion-ect/model")
    run(root / "scripts" / "choose_sampling.py", model, clips)
    if ship:
        import torch

        from vidcm.families.motion import MotionFamily

        MotionFamily.load(model).save(root / "vidcm" / "assets" / "motion", torch.bfloat16)


def run(*words: object) -> None:
    subprocess.run([sys.executable, *map(str, words)], check=True)


if __name__ == "__main__":
    main()
