"""Train one run in a process of its own, from where it stands: `python -m benchmarks.tuning CONFIG.yaml`.

The last line of standard output is JSON: what the tuning took.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.memory import Peak
from vidcm.core.errors import UserError


def tune(path: Path) -> dict[str, float]:
    """Seconds of training, samples, steps and the peak of resident memory of this process."""
    from vidcm.training.config import load_config
    from vidcm.training.loop import train

    config, peak = load_config(path), Peak()
    out = Path(config.out)
    train(config, resume=any((out / "checkpoints").glob("step-*")))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    last, found = lines[-1], {"loss": lines[-1].get("loss"), "bad_steps": lines[-1]["bad_steps"]}
    for name, pick in (("jvp_exact", min), ("jvp_error", max)):
        if told := [line[name] for line in lines if name in line]:
            found[name] = pick(told)
    took = {"seconds": last["seconds"], "samples": last["samples"], "steps": last["step"], "peak_mib": peak.mib()}
    return {**took, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    try:
        print(json.dumps(tune(parser.parse_args().config)), flush=True)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
