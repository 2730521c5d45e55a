"""Fit a motion model's belief in hints to encoded latents, and leave all else of it as it is.

    python scripts/fit_belief.py MODEL LATENTS [--steps 1200]

Stage 1 of training (configs/runs/motion_vae.yaml) learns it with the rest of the VAE; this is for a VAE from before
there was a belief, or to fit it to other footage. LATENTS: the folder of shards that a later stage left beside its run.
"""

from itertools import islice
from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.argument("latents", type=click.Path(path_type=Path, exists=True))
@click.option("--steps", default=1200, show_default=True)
@click.option("--lr", default=5e-3, show_default=True)
def main(model: Path, latents: Path, steps: int, lr: float) -> None:
    import torch

    from vidcm.families.motion import MotionFamily
    from vidcm.models.acceleration import HINTS
    from vidcm.models.belief import disbelief
    from vidcm.models.motion_code import expand, parts
    from vidcm.models.motion_context import CERTAIN
    from vidcm.models.motion_vae import rows
    from vidcm.training.latents import LatentBatches

    give_one(model / "vae")
    family = MotionFamily.load(model)
    vae, belief = family.vae, family.vae.context.belief
    seen = vae.config.condition_channels
    optimizer = torch.optim.AdamW(belief.parameters(), lr, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps)
    batches = LatentBatches(latents, len(list(latents.glob("shard-*"))), 48, seed=0)
    for step, batch in enumerate(islice(batches.iterate(), steps)):
        told = batch["condition"]
        condition = rows(told["condition"])
        with torch.no_grad():
            doubt = CERTAIN + vae.context.doubt(condition[:, :seen]).clamp(-5, 3).exp()
            missing = parts(expand(vae.decoder.read(vae.unscale(rows(batch["x0"]))), doubt))[:, :2]
        expected, size = belief(condition[:, seen : seen + HINTS], doubt, told["tau"].flatten())
        loss = disbelief(expected, size, missing).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}/{steps}  loss {loss.item():.4f}")
    vae.save_pretrained(model / "vae")


def give_one(vae: Path) -> None:
    """Weights of a VAE from before there was a belief: with one that has learned nothing."""
    from safetensors.torch import load_file, save_file

    from vidcm.families.checkpoint import WEIGHTS
    from vidcm.models.belief import Belief

    weights = load_file(vae / WEIGHTS)
    new = {f"context.belief.{name}": tensor for name, tensor in Belief().state_dict().items()}
    if not new.keys() <= weights.keys():
        save_file({**weights, **new}, vae / WEIGHTS, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
