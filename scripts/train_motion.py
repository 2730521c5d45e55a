"""Train the shipped interpolator from a folder of clips: the cache, three stages, the sampling settings, the package.

    python scripts/train_motion.py FOOTAGE/clips                                        # two CPU cores: an hour
    python scripts/train_motion.py FOOTAGE/clips --gpu --minutes 30 --pieces PIECES     # one GPU

Each stage is `vidcm train` of configs/runs/motion_STAGE.yaml, with checkpoints; running this again goes on where it
stopped. `--minutes` is shared out over the stages: some steps of each are timed first, once, and then it is a matter of
steps alone. OUT/motion is the last stage's model with what is fitted and chosen after it: the belief, once more on what
the finished VAE encoded, how it is sampled, and what its confidence means. The clips are decoded once; as they are,
they are the smallest form in which the data travels (`python scripts/pieces.py split FOOTAGE/clips -o DIR`).
"""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
SHARES = {"vae": 0.5, "diffusion": 0.25, "ect": 0.15, "decoder": 0.1}  # of the minutes
OPTIONAL = "decoder"
TRIAL = 60  # steps that are timed
MADE_OF = "made_of.json"  # in OUT/motion: the hashes of the weights that were trained
EVERY = 3  # clips: every third one is enough for the three numbers of a calibration
GPU = {
    "device": "cuda",
    "precision": "bf16",
    "tf32": "true",
    "compile": "inductor",
    "efficiency": "true",
    "data.workers": str(max(1, (os.cpu_count() or 1) - 2)),
}
GPU_LATENTS = {"latents.resident": "true", "latents.samples": "32768"}


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--gpu", is_flag=True, help="Compiled, on tensor cores, with latents in the GPU's memory.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Of training, all stages together.")
@click.option("--decoder", is_flag=True, help="Also the optional last stage.")
@click.option("--set", "settings", multiple=True, metavar="[STAGE:]KEY=VALUE", help="Of every stage, or of one.")
@click.option("--no-sampling", is_flag=True, help="Leave the last stage's model as it is: choosing takes long.")
@click.option("--pieces", type=click.Path(path_type=Path), help="A folder for the model in pieces of at most 16 MiB.")
@click.option("--ship", is_flag=True, help="Put the result into vidcm/assets/motion.")
def main(
    clips: Path,
    out: Path,
    gpu: bool,
    minutes: float | None,
    decoder: bool,
    settings: tuple[str, ...],
    no_sampling: bool,
    pieces: Path | None,
    ship: bool,
) -> None:
    stages = [stage for stage in SHARES if decoder or stage != OPTIONAL]
    chosen = check_settings(settings)
    model = None
    for stage in stages:
        given = {"data.footage": str(clips), **(gpu_settings(stage) if gpu else {})}
        given |= {"init": str(model)} if model else {}
        given |= {key: value for where, key, value in chosen if where in ("", stage)}
        folder = out / f"motion-{stage}"
        if minutes is not None:
            share = SHARES[stage] / sum(SHARES[each] for each in stages)
            given |= {"steps": str(steps_for(60 * minutes * share, stage, out, given))}
        train(stage, {**given, "out": str(folder), **curriculum(stage, given)}, "--auto-resume")
        model = folder / "model"
    if not no_sampling:
        model = settled(model, out / "motion", clips, given.get("device", "cpu"))
    if pieces:
        run(ROOT / "scripts" / "pieces.py", "split", model, "-o", pieces)
    if ship:
        put_into_package(model, ROOT / "vidcm" / "assets" / "motion")


def settled(trained: Path, out: Path, clips: Path, device: str) -> Path:
    """The trained model at `out` with its belief, its sampling and its confidence, once for the same weights."""
    made_of = weights_of(trained)
    if (out / MADE_OF).is_file() and json.loads((out / MADE_OF).read_text(encoding="utf-8")) == made_of:
        return out
    aside = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(trained, aside)
    encoded = sorted((out.parent / "latents").glob("*"), key=lambda folder: folder.stat().st_mtime)
    for latents in encoded[-1:]:
        run(ROOT / "scripts" / "fit_belief.py", aside, latents)
    run(ROOT / "scripts" / "choose_sampling.py", aside, clips, "--device", device)
    run(ROOT / "scripts" / "calibrate_confidence.py", aside, clips, "--device", device, "--every", EVERY)
    (aside / MADE_OF).write_text(json.dumps(made_of, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)
    return out


def weights_of(model: Path) -> dict[str, str]:
    """The hash of each file of weights."""
    files = {str(path.relative_to(model)): path for path in sorted(model.glob("*/*.safetensors"))}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def put_into_package(model: Path, assets: Path) -> None:
    """In half the bytes, and with its calibration, which a family does not know of."""
    import torch

    from vidcm.families.motion import MotionFamily
    from vidcm.pipelines import calibration_of

    calibration = calibration_of(model)
    MotionFamily.load(model).save(assets, torch.bfloat16)
    calibration.save(assets)


def check_settings(settings: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """(stage or "", key, value) of each."""
    found = []
    for text in settings:
        name, equals, value = text.partition("=")
        stage, colon, key = name.rpartition(":")
        if not equals or (colon and stage not in SHARES):
            raise click.UsageError(f"--set {text}: write KEY=VALUE, or STAGE:KEY=VALUE with one of {', '.join(SHARES)}")
        found.append((stage, key, value))
    return found


def gpu_settings(stage: str) -> dict[str, str]:
    return {**GPU, **(GPU_LATENTS if stage in ("diffusion", "ect") else {})}


def steps_for(seconds: float, stage: str, out: Path, given: dict[str, str]) -> int:
    """How many steps of a stage take so long on this machine; timed once, so that a run that goes on has as many."""
    plan = out / f"motion-{stage}-plan.json"
    if plan.is_file():
        planned = json.loads(plan.read_text(encoding="utf-8"))
        if planned["seconds"] != seconds:
            told = f"{stage}: {planned['steps']} steps in {planned['seconds'] / 60:.1f} minutes, as planned before"
            print(f"{told}, not {seconds / 60:.1f}: delete {out} to plan anew", file=sys.stderr, flush=True)
        return int(planned["steps"])
    trial = out / f"motion-{stage}-trial"
    short = {"steps": str(TRIAL), "log_every": "1", "save_every": str(TRIAL), "efficiency": "false", "last_stage": "0"}
    train(stage, {**given, **short, "out": str(trial)}, "--auto-resume")
    lines = (trial / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    clock = [json.loads(line)["seconds"] for line in lines]
    # the median: networks are compiled on the way, once for each shape
    step_s = statistics.median(after - before for before, after in pairwise(clock))
    steps = max(1, round(seconds / step_s))
    shutil.rmtree(trial)
    plan.write_text(json.dumps({"steps": steps, "step_s": step_s, "seconds": seconds}) + "\n", encoding="utf-8")
    print(f"{stage}: {step_s:.3f} s a step, {steps} steps in {seconds / 60:.1f} minutes", file=sys.stderr, flush=True)
    return steps


def curriculum(stage: str, given: dict[str, str]) -> dict[str, str]:
    """Where the samples of a run are not the recipe's, in steps or in a step: its curriculum, stretched as much."""
    recipe = read_recipe(stage)
    if not recipe.get("samples_per_stage") or "samples_per_stage" in given:
        return {}
    usual = recipe["steps"], recipe["latents"]["batch_size"]
    steps, size = (int(given.get(key, was)) for key, was in zip(("steps", "latents.batch_size"), usual, strict=True))
    if (steps, size) == usual:
        return {}
    return {"samples_per_stage": str(max(1, recipe["samples_per_stage"] * steps * size // (usual[0] * usual[1])))}


def read_recipe(stage: str) -> dict:
    import yaml

    return yaml.safe_load(recipe_of(stage).read_text(encoding="utf-8"))


def recipe_of(stage: str) -> Path:
    return ROOT / "configs" / "runs" / f"motion_{stage}.yaml"


def train(stage: str, settings: dict[str, str], *options: str) -> None:
    run("-m", "vidcm", "train", recipe_of(stage), *(f"{k}={v}" for k, v in settings.items()), *options)


def run(*words: object) -> None:
    """Python, which has said what was wrong where it fails."""
    done = subprocess.run([sys.executable, *map(str, words)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
