"""How far a long job is: one line that changes on a terminal, a plain line now and then elsewhere, or JSON events."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TERMINAL_S, PLAIN_S, JSON_S = 0.1, 10.0, 1.0  # seconds between two lines
EARLY = 4  # frames: their pace, the model's first, tells nothing of the rest


def emit(event: str, **fields: Any) -> None:
    """One JSON event, one line on stdout."""
    print(json.dumps({"event": event, **fields}), flush=True)


@dataclass
class Progress:
    """Call it with (done, expected) after each frame. The clock of the rate starts with the first call, and again when
    EARLY more are done: until then a model is loaded and warms up.

    as_json: events on stdout instead of lines on stderr. stage: of the job, where that is not the whole of it; its line
    goes when it is done.
    """

    as_json: bool = False
    stage: str = ""
    clock: Callable[[], float] = time.monotonic
    _started: float | None = None
    _first: int = 0
    _shown: float = field(default=float("-inf"))
    _width: int = 0
    _is_warm: bool = False

    def __call__(self, done: int, expected: int) -> None:
        now = self.clock()
        if self.stage and done >= expected:
            self.close()
            return
        if self._started is None:
            self._started, self._first, self._shown = now, done, now
            return
        if not self._is_warm and done - self._first >= EARLY:
            self._started, self._first, self._is_warm = now, done, True
            return
        if now - self._shown < self._interval():
            return
        self._shown = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        if self.as_json:
            is_told = rate and (self._is_warm or self._first <= 1)  # not by a model's loading for what is left of a run
            left_s = round((expected - done) / rate, 1) if is_told else None
            stage = {"stage": self.stage} if self.stage else {}
            emit("progress", **stage, done=done, expected=expected, frames_per_s=round(rate, 3), left_s=left_s)
        else:
            self._line(f"{self.stage}{': ' * bool(self.stage)}{line(done, expected, rate, self._is_warm)}")

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._width:
            print("\r" + " " * self._width, end="\r", file=sys.stderr, flush=True)
            self._width = 0

    def _interval(self) -> float:
        if self.as_json:
            return JSON_S
        return TERMINAL_S if sys.stderr.isatty() else PLAIN_S

    def _line(self, text: str) -> None:
        if not sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)
            return
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)


def line(done: int, expected: int, rate: float, is_warm: bool) -> str:
    """rate: frames per second; is_warm: whether it tells how long the rest takes. Of what is done no time is left, and
    none is told."""
    part = min(done / expected, 1.0) if expected else 1.0
    bar = "#" * round(20 * part)
    told = f"[{bar:.<20}] {part:4.0%}  {done}/{expected} frames  {rate:.1f} per s"
    if done >= expected:
        return told
    left = clock_time(max(1.0, (expected - done) / rate)) if rate and is_warm else "?"
    return f"{told}  {left} left"


def clock_time(seconds: float) -> str:
    """0:07, 12:34, 1:02:03"""
    minutes, second = divmod(max(0, round(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
