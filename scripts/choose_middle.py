"""Choose the middle angle of two-step sampling for a generator, on clips of a dataset, and store it with its weights.

    python scripts/choose_middle.py MODEL DATASET [--split train] [--count 64] [--middles 0.5,0.8,1.01,1.2,1.35]

Of the angles that with the smallest sliced Wasserstein distance of free two-step samples to the clips is stored
(vidcm/evaluation/middle.py). Take clips that no figure is measured on. choose_sampling.py does it for motion models.
"""

from pathlib import Path

import click

from vidcm.core.errors import UserError


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("dataset", type=click.Path(path_type=Path, exists=True))
@click.option("--split", default="train", show_default=True)
@click.option("--count", default=64, show_default=True, help="Clips.")
@click.option("--middles", default="0.5,0.8,1.01,1.2,1.35", show_default=True, help="Angles to try, in radians.")
@click.option("--seed", default=0, show_default=True)
def main(model: Path, dataset: Path, split: str, count: int, middles: str, seed: int) -> None:
    import torch

    from vidcm import families
    from vidcm.data.clips import ClipCache
    from vidcm.evaluation.heldout import ClipShape, check_enough, real_clips
    from vidcm.evaluation.middle import choose_middle, store_sampling
    from vidcm.families.stock import pipeline_of, read_index

    try:
        angles = [float(middle) for middle in middles.split(",")]
        name = families.reading(pipeline_of(read_index(model)))
        if name is None:
            raise UserError(f"{model} is not of a generator: motion models are for choose_sampling.py")
        family = families.get(name).load(model)
        if family.consistency is None:
            raise UserError(f"{model} is a diffusion model, which few steps are not for: tune it first (vidcm train)")
        cache, shape = ClipCache.open(dataset), ClipShape(*family.usual_clip, family.RATE)
        found = real_clips(cache, cache.split(split), shape, count)
        check_enough(found, dataset, split, shape)
        clips = torch.stack([torch.from_numpy(each.frames_THWC).permute(3, 0, 1, 2) for each in found])
        for middle, distance in choose_middle(family, clips, angles, seed=seed).items():
            click.echo(f"middle {middle:.3f}: {distance:.4f}")
    except (UserError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    store_sampling(family, model)
    click.echo(f"stored {family.consistency.config.middle:.3f} in {model / 'consistency'}")


if __name__ == "__main__":
    main()
