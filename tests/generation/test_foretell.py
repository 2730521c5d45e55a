"""What a manifest is said to take."""

import json
import re

import torch
from click.testing import CliRunner

from tests.families.tiny_video import write
from vidcm.cli.main import cli
from vidcm.families.skeleton import skeleton
from vidcm.generation import foretell as room
from vidcm.generation.foretell import foretell
from vidcm.generation.jobs import Job, Line
from vidcm.generation.needs import needs
from vidcm.models.scheduler import ConsistencyScheduler

CPU = torch.device("cpu")


def lines(*jobs: Job) -> list[Line]:
    return [Line(number, str(number), job) for number, job in enumerate(jobs)]


def test_the_largest_clip_that_the_model_can_make_counts(tmp_path):
    folder = write("wan 2.1 t2v", tmp_path / "model")
    jobs = lines(Job(num_frames=5, size="48x32"), Job(num_frames=9, size="48x32"), Job(num_frames=99, size="48x32"))
    found = foretell(jobs, folder, CPU)
    told = needs(skeleton(folder, torch.float32), (9, 32, 48), 50)
    assert (found.shape, found.steps) == ((9, 32, 48), 50)  # 99 frames fail
    assert (found.resident, found.low_memory, found.flops) == (told.resident, told.in_turn, told.flops)
    assert found.there > 2**28
    assert found.there > found.process > 2**27  # torch and diffusers
    ConsistencyScheduler().save_pretrained(folder / "consistency")
    assert foretell(jobs, folder, CPU).steps == 2
    assert foretell(lines(Job(num_frames=99, size="48x32")), folder, CPU) is None
    assert foretell(jobs, tmp_path, CPU) is None


def test_too_little_memory_is_said_before_the_model_is_loaded(tmp_path, monkeypatch):
    folder = write("wan 2.1 t2v", tmp_path / "model")
    monkeypatch.setattr(room, "memory_of", lambda device: 1000)
    (tmp_path / "jobs.jsonl").write_text(json.dumps({"prompt": "a ball", "num_frames": 5, "size": "48x32", "steps": 1}))
    words = ["--batch", tmp_path / "jobs.jsonl", "-o", tmp_path / "out", "--model", folder, "--device", "cpu"]
    done = CliRunner().invoke(cli, ["generate", *map(str, words)])
    assert done.exit_code == 0, done.output
    assert re.search(r"MiB of memory for weights and work, beside the .* of the process, and .* TFLOP, ", done.stderr)
    assert "more than the 0.00 MiB here: --low-memory takes" in done.stderr
    told = CliRunner().invoke(cli, ["generate", *map(str, words), "--json", "--seed", "1"]).stdout.splitlines()
    assert json.loads(told[0])["event"] == "estimate"
