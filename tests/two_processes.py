"""A command in two gloo processes that know of each other, as torchrun starts them."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 3600.0  # for a machine that has much else to do; a hang ends earlier, by the patience of the run
GRACE_S = 60.0  # for the one that is left when the other has failed


def in_two_processes(words: Sequence[str | Path], limit_s: float = LIMIT_S) -> list[subprocess.CompletedProcess[str]]:
    """What the two said, and their exit codes; neither is left behind, whatever happens.

    They write to files: with pipes, one that says much would wait for a reader, and the other for it. One thread each:
    two processes of spinning threads on two busy processors make no progress."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    place |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    place["ACCELERATE_USE_CPU"] = os.environ.get("ACCELERATE_USE_CPU", "true")
    command = [sys.executable, *map(str, words)]
    with tempfile.TemporaryDirectory() as folder:
        files = [[Path(folder) / f"{name}-{rank}" for name in ("out", "err")] for rank in (0, 1)]
        started: list[subprocess.Popen[str]] = []
        try:
            for rank, (out, err) in enumerate(files):
                env = {**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                with out.open("w") as said, err.open("w") as told:
                    started.append(subprocess.Popen(command, env=env, stdout=said, stderr=told, text=True))
            wait(started, limit_s)
        finally:
            for process in started:
                process.kill()  # nothing happens to one that has ended
                process.wait()
        texts = [[file.read_text() for file in pair] for pair in files]
    return [
        subprocess.CompletedProcess(command, process.returncode, *text)
        for process, text in zip(started, texts, strict=True)
    ]


def wait(started: Sequence[subprocess.Popen[str]], limit_s: float) -> None:
    """Until both have ended, or `limit_s` is over, or one has failed and the other had its time to notice."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end and any(process.poll() is None for process in started):
        if any(process.poll() for process in started):
            end = min(end, time.monotonic() + GRACE_S)
        time.sleep(0.1)


def succeeded(ended: Sequence[subprocess.CompletedProcess[str]]) -> str:
    """What the first of them said on standard error, if both ended well."""
    assert [process.returncode for process in ended] == [0, 0], "\n".join(process.stderr for process in ended)
    return ended[0].stderr
