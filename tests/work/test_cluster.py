"""The same jobs on Ray: workers die, and nothing is lost or done twice."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from vidcm.core.errors import UserError
from vidcm.work.batch import SUMMARY, make_all
from vidcm.work.cluster import Pool, make_all_on_ray, pool_of

from .jobs import Notes

NODE = {"node:__internal_head__": 1.0, "node:10.0.0.1": 1.0}
NAMES = [f"job{i}" for i in range(8)]


@pytest.fixture(scope="module")
def two_workers():
    """A cluster on this machine that has room for two."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'vidcm[cluster]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def notes(tmp_path: Path) -> Notes:
    return Notes(tmp_path / "out", tmp_path / "trace")


def kill_once(notes: Notes, job: str) -> threading.Thread:
    """SIGKILL for the worker that makes `job`, half a second after it has begun."""

    def wait_and_kill() -> None:
        while not notes.maker_of(job):
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(notes.maker_of(job), signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.cluster
def test_a_killed_worker_s_job_is_made_again_and_no_other_twice(two_workers, notes):
    jobs = [*NAMES[:3], "slow", *NAMES[3:], "bad"]
    killer, told = kill_once(notes, "slow"), []
    records = make_all_on_ray(notes, jobs, workers=2, tell=lambda record, job, done, count: told.append((job, done)))
    killer.join()
    assert [record.status for record in records] == ["done"] * 9 + ["failed"]
    assert records[-1].error == "bad is refused"
    assert sorted(notes.seen("end")) == sorted(jobs[:-1])  # each ended once
    assert notes.seen("begin").count("slow") == 2
    assert sorted(notes.seen("begin")) == sorted([*jobs, "slow"])
    assert len(set(notes.seen("load"))) == 3  # two workers, and the one in place of the killed
    assert sorted(job for job, _ in told) == sorted(jobs)
    assert [done for _, done in told] == list(range(1, 11))
    assert json.loads((notes.folder / SUMMARY).read_text()) == {"statuses": ["done"] * 9 + ["failed"]}


@pytest.mark.cluster
def test_what_one_process_finished_is_kept_on_the_cluster_and_the_other_way_round(two_workers, notes):
    make_all(notes, NAMES[:3])
    make_all_on_ray(notes, NAMES, workers=2)
    make_all(notes, NAMES)
    assert sorted(notes.seen("end")) == NAMES
    notes.trace.unlink()
    assert [record.status for record in make_all_on_ray(notes, NAMES)] == ["done"] * 8
    assert not notes.trace.exists()


@pytest.mark.cluster
def test_a_job_that_takes_its_workers_along_fails_after_three_and_the_others_are_made(two_workers, notes):
    records = make_all_on_ray(notes, ["deadly", *NAMES[:3]], workers=2)
    assert [record.status for record in records] == ["failed", "done", "done", "done"]
    assert records[0].error == "3 workers ended while they made it: try a smaller one"
    assert notes.seen("begin").count("deadly") == 3


@pytest.mark.cluster
def test_a_full_disk_ends_the_run_in_one_line(two_workers, notes):
    with pytest.raises(UserError, match="No space left on device: make room, then start the same command again"):
        make_all_on_ray(notes, ["full", *NAMES], workers=2)


@pytest.mark.cluster
def test_a_model_that_cannot_be_loaded_ends_the_run(two_workers, notes):
    class Unloadable(Notes):
        def load(self) -> None:
            raise UserError("no such model")

    with pytest.raises(UserError, match="no such model"):
        make_all_on_ray(Unloadable(notes.folder, notes.trace), NAMES, workers=2)


def test_a_worker_for_each_gpu_or_without_any_for_each_node():
    gpus = {"CPU": 64.0, "GPU": 8.0, **NODE}
    assert pool_of(gpus, None, "auto", 100) == Pool(8, 1, 1)
    assert pool_of(gpus, None, "auto", 3) == Pool(3, 1, 1)
    assert pool_of(gpus, 2, "cuda", 100) == Pool(2, 1, 1)
    assert pool_of(gpus, None, "cpu", 100) == Pool(1, 64, 0)
    assert pool_of({"CPU": 8.0, **NODE, "node:10.0.0.2": 1.0}, None, "auto", 100) == Pool(2, 4, 0)
    assert pool_of({"CPU": 2.0, **NODE}, 4, "auto", 100) == Pool(4, 1, 0)
    with pytest.raises(UserError, match="this Ray cluster has no GPU"):
        pool_of({"CPU": 2.0, **NODE}, None, "cuda", 1)
