"""Draw clips from one model and compare them with held-out ones, in a process of its own, row by row:
`python -m benchmarks.judging JOB.json`.

JOB    family, model, clips (a file of `benchmarks.heldout`), out, rows, middles, batch, seed, pairs
OUT    rows.jsonl, a line as each row is done, so that a killed job goes on at the next one; without `pairs`: x0 of the
       last row of each kind, from which another job, whose `pairs` names this OUT, measures how far its samples of the
       same noise are; and coded.json, the scores of held-out clips through the VAE
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.memory import Peak
from vidcm.core.aside import write_aside
from vidcm.core.errors import UserError

TIMES = ("sampler_s", "sampler_cpu_s", "whole_s", "whole_cpu_s", "asked")


def judge(job: dict[str, Any]) -> None:
    from vidcm import families
    from vidcm.evaluation.clip_sets import Reference
    from vidcm.evaluation.drawing import Sampler, draw_clips
    from vidcm.evaluation.middle import choose_middle, store_sampling

    peak, out = Peak(), Path(job["out"])
    out.mkdir(parents=True, exist_ok=True)
    done = finished(out)
    missing = [row for row in job["rows"] if key_of(row) not in {key_of(each) for each in done}]
    if not missing:
        return
    clips = load_file(job["clips"])
    family = families.get(job["family"]).load(job["model"])
    for module in family.modules():
        module.requires_grad_(False).eval()
    if job["middles"] and not (out / "middles.json").exists():
        found = choose_middle(family, clips["choosing"], job["middles"], seed=job["seed"] + 1, batch=job["batch"])
        store_sampling(family, Path(job["model"]))
        (out / "middles.json").write_text(json.dumps(found), encoding="utf-8")
    reference = Reference(clips["heldout"])
    if not job["pairs"] and not (out / "coded.json").exists():
        coded = through_vae(family, clips["heldout"], job["batch"])
        (out / "coded.json").write_text(json.dumps(reference.scores(coded, paired=True)), encoding="utf-8")
    for row in missing:
        sampler = Sampler(row["kind"], row["evaluations"], row["solver"])
        drawn = draw_clips(family, sampler, clips["heldout"], row["given"], seed=job["seed"], batch=job["batch"])
        scores = reference.scores(drawn.frames, paired=row["given"] != "none")
        taken = {name: getattr(drawn, name) for name in TIMES} | {"peak_mib": peak.mib()}
        apart = {}
        if job["pairs"]:
            apart["apart"] = apart_of(drawn.x0, load_file(Path(job["pairs"]) / f"x0-{row['given']}.safetensors")["x0"])
        else:
            save_file({"x0": drawn.x0}, out / f"x0-{row['given']}.safetensors")
        save_file({"frames": drawn.frames[:SHOWN]}, out / f"{'-'.join(map(str, key_of(row)))}.safetensors")
        append(out, {**row, **taken, **apart, "scores": scores})
        label = f"{row['kind']} {row['evaluations']}, given {row['given']}"
        print(f"  {label}: {scores['sliced']['value']:.3f}", flush=True)


@torch.inference_mode()
def through_vae(family: Any, clips: Tensor, batch: int) -> Tensor:
    """Clips encoded and decoded, uint8: no sampler of the family comes nearer to them."""
    made = [family.decode(family.encode_frames(some.float() / 255)) for some in clips.split(batch)]
    return torch.cat(made).mul(255).round().to(torch.uint8)


SHOWN = 8  # clips kept to look at


def apart_of(x0: Tensor, teachers: Tensor) -> float:
    """How far samples are from the teacher's of the same noise, over how far they are from its other ones: 0 the same
    clips, 1 no more alike than any two."""
    same = (x0 - teachers).square().mean()
    others = torch.stack([(x0 - teachers.roll(by, 0)).square().mean() for by in range(1, min(len(x0), 9))]).mean()
    return (same / others).sqrt().item()


def key_of(row: dict[str, Any]) -> tuple[str, int, str, str]:
    return row["kind"], row["evaluations"], row["solver"], row["given"]


def finished(out: Path) -> list[dict[str, Any]]:
    """The rows done; a line cut short by a kill is none."""
    if not (out / "rows.jsonl").exists():
        return []
    rows = []
    for line in (out / "rows.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def append(out: Path, row: dict[str, Any]) -> None:
    """One more row, in a file that is whole at every moment."""
    rows = [*finished(out), row]
    write_aside(out / "rows.jsonl", "".join(json.dumps(each) + "\n" for each in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("job", type=Path)
    try:
        judge(json.loads(parser.parse_args().job.read_text(encoding="utf-8")))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
