"""A whole run: what it leaves, and that a stop anywhere changes nothing of it."""

import json

from vidcm.families.motion import MotionFamily
from vidcm.finetuning.run import finetune


def test_a_run_leaves_the_best_model_and_a_report(dataset, config, tmp_path):
    done = finetune(dataset, tmp_path / "run", config)
    marks = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [(mark["part"], mark["step"]) for mark in marks] == [("start", 0), *(("pictures", s) for s in (2, 4, 6))]
    assert done.after.psnr == max(mark["psnr"] for mark in marks)
    assert done.before.psnr == marks[0]["psnr"]
    MotionFamily.load(done.best)
