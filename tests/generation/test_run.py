"""Batches with a maker that costs nothing; the real models are in test_command."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.two_processes import in_two_processes
from vidcm.core.errors import UserError
from vidcm.generation.jobs import Job, Line, key_of
from vidcm.generation.makers import Made
from vidcm.generation.memory import peak_mib, reset_peak
from vidcm.generation.run import Manifest
from vidcm.generation.writing import write_clip
from vidcm.media.reader import open_reader
from vidcm.work.batch import make_all

CPU = torch.device("cpu")


def lines(*jobs: Job) -> list[Line]:
    return [Line(number, key_of(job), job) for number, job in enumerate(jobs, start=1)]


class Maker:
    """Grey clips; prompts that say "fail" are refused, "crash" is a bug."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, job: Job) -> Made:
        if job.prompt == "fail":
            raise UserError("num_frames must be 1 + a multiple of 4")
        if job.prompt == "crash":
            raise RuntimeError("shapes\ndo not match")
        if job.prompt == "large":
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.made.append(job.prompt)
        return Made(np.full((3, 32, 32, 3), 0.5, np.float32), Fraction(8), {"num_frames": 3}, ["a note"])


def run(folder: Path, jobs: list[Line], maker: Maker, model: str = "m"):
    return make_all(Manifest(folder, lambda: (maker, CPU), model), jobs)


def test_failures_are_recorded_and_stop_nothing(tmp_path):
    jobs = lines(*(Job(prompt=prompt) for prompt in ("one", "fail", "crash", "large", "two")))
    maker = Maker()
    records = run(tmp_path / "out", jobs, maker)
    assert [record.status for record in records] == ["done", "failed", "failed", "failed", "done"]
    assert maker.made == ["one", "two"]
    assert records[2].error == "unexpected RuntimeError: shapes do not match"
    assert "smaller size" in records[3].error
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (told["jobs"], told["done"], told["failed"]) == (5, 2, 3)
    assert told["clips"][0]["peak_mib"] > 0
    assert told["clips"][0]["notes"] == ["a note"]
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert [name for name in files if name.endswith(".mp4")] == sorted(f"{jobs[i].key}.mp4" for i in (0, 4))
    assert not [name for name in files if "part" in name]


def test_a_second_run_makes_what_is_missing_and_nothing_else(tmp_path):
    jobs = lines(*(Job(prompt=prompt) for prompt in ("one", "fail", "two", "three")))
    run(tmp_path / "out", jobs, Maker())
    (tmp_path / "out" / f"{jobs[2].key}.mp4").unlink()
    (tmp_path / "out" / f"{jobs[3].key}.json").write_text("{")
    maker = Maker()
    records = run(tmp_path / "out", jobs, maker)
    assert maker.made == ["two", "three"]
    assert [record.status for record in records] == ["done", "failed", "done", "done"]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    jobs = lines(Job(prompt="one"), Job(prompt="two"), Job(prompt="three"))

    class Interrupted(Maker):
        def __call__(self, job):
            if job.prompt == "two":
                raise KeyboardInterrupt
            return super().__call__(job)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out", jobs, Interrupted())
    maker = Maker()
    assert [record.status for record in run(tmp_path / "out", jobs, maker)] == ["done"] * 3
    assert maker.made == ["two", "three"]


def test_a_full_disk_ends_the_run(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidcm.work.batch.write_aside", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "out", lines(Job(prompt="one"), Job(prompt="two")), Maker())


def test_a_job_that_cannot_be_made_needs_no_model(tmp_path):
    def check(job):
        if job.prompt == "fail":
            raise UserError("no image")

    maker, loads = Maker(), []
    for jobs in (["fail"], ["fail", "one", "two"]):
        batch = Manifest(tmp_path / "out", lambda: loads.append(1) or (maker, CPU), "m", check)
        records = make_all(batch, lines(*(Job(prompt=prompt) for prompt in jobs)))
        assert records[0].error == "no image"
        assert len(loads) == len(jobs) // 2
    assert maker.made == ["one", "two"]


def test_finished_jobs_need_no_model(tmp_path):
    jobs = lines(Job(prompt="one"))
    run(tmp_path / "out", jobs, Maker())
    told = []
    make_all(Manifest(tmp_path / "out", lambda: 1 / 0, "m"), jobs, tell=lambda record, *_: told.append(record.status))
    assert told == ["kept"]


def test_another_model_or_another_job_under_the_name_is_made_again(tmp_path):
    run(tmp_path / "out", lines(Job(prompt="one", name="clip")), Maker())
    for jobs, model in ((lines(Job(prompt="one", name="clip")), "other"), (lines(Job(prompt="1", name="clip")), "m")):
        maker = Maker()
        run(tmp_path / "out", jobs, maker, model)
        assert len(maker.made) == 1


def test_a_clip_is_written_as_it_was_made(tmp_path):
    """Lossless, so that only the conversion's rounding is between."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (5, 32, 48, 3)).astype(np.float32) / 255
    write_clip(tmp_path / "a.mkv", frames, Fraction(24000, 1001))
    with open_reader(tmp_path / "a.mkv") as reader:
        seen = list(reader)
        assert reader.info.rate == Fraction(24000, 1001)
    assert len(seen) == 5
    smooth = np.tile(np.linspace(0.1, 0.9, 48, dtype=np.float32)[None, None, :, None], (2, 32, 1, 3))
    write_clip(tmp_path / "b.mp4", smooth, Fraction(16))
    with open_reader(tmp_path / "b.mp4") as reader:
        shown = np.stack([frame.rgb for frame in reader])
    assert np.abs(shown / 255 - smooth).mean() < 0.01
    assert seen[1].instant == Fraction(1001, 24000)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak anew")
def test_the_peak_is_that_of_the_clip_and_not_of_the_process():
    reset_peak(CPU)
    large = torch.ones(2**26)  # 256 MiB
    high = peak_mib(CPU)
    del large
    reset_peak(CPU)
    assert peak_mib(CPU) < high - 200


SHARE = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from tests.generation.test_run import CPU, Job, Maker, lines
from vidcm.core.processes import launched
from vidcm.generation.run import Manifest
from vidcm.work.batch import make_all

maker, processes = Maker(), launched()
jobs = lines(*(Job(prompt=prompt) for prompt in ("a", "fail", "c", "d", "e")))
records = make_all(Manifest(Path(sys.argv[1]), lambda: (maker, CPU), "m"), jobs, processes=processes)
print("".join(maker.made), sum(record.status == "done" for record in records))
"""


def test_two_processes_split_the_jobs_and_the_first_sums_up(tmp_path):
    ended = in_two_processes(["-c", SHARE, tmp_path / "out", Path(__file__).parents[2]])
    assert [process.stdout.split() for process in ended] == [["ace", "4"], ["d", "4"]]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["failed"] == 1
