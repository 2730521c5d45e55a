import os
import signal
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue

import pytest

from vidcm.core.ahead import Shared, ahead


def threads() -> int:
    return sum(thread.name == "vidcm-ahead" for thread in threading.enumerate())


def test_items_come_in_order_from_another_thread():
    def made() -> Iterator[tuple[int, int]]:
        for number in range(50):
            yield number, threading.get_ident()

    found = list(ahead(made(), 3))
    assert [number for number, _ in found] == list(range(50))
    assert {ident for _, ident in found}.isdisjoint({threading.get_ident()})
    assert threads() == 0


def test_it_runs_ahead_and_no_further_than_told():
    made = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    taking = ahead(numbers(), 2)
    assert next(taking) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2, 3]  # one taken, two waiting, one in the making
    taking.close()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_it_raises_is_raised_behind_the_items_before_it(error):
    def fails() -> Iterator[int]:
        yield 1
        raise error

    taken = []
    with pytest.raises(type(error)):
        for item in ahead(ahead(fails())):
            taken.append(item)
    assert taken == [1]
    assert threads() == 0


def test_when_the_taker_leaves_all_stages_end():
    closed = []

    def stage(items: Iterator[int], name: str) -> Iterator[int]:
        try:
            yield from items
        finally:
            closed.append(name)

    def endless() -> Iterator[int]:
        while True:
            yield 0

    taking = ahead(stage(ahead(stage(endless(), "first")), "second"))
    next(taking)
    taking.close()
    assert sorted(closed) == ["first", "second"]
    assert threads() == 0


@pytest.mark.skipif(os.name == "nt", reason="signals interrupt no wait there")
def test_an_interrupt_while_it_ends_waits_for_the_end():
    ended = []

    def slow() -> Iterator[int]:
        try:
            yield 0
            yield 1
        finally:
            time.sleep(1.5)
            ended.append(True)

    taking = ahead(slow())
    next(taking)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            taking.close()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended == [True]
    assert threads() == 0


def test_an_item_is_not_held_while_the_next_one_is_made():
    import weakref

    class Thing:
        pass

    alive = weakref.WeakSet()

    def things() -> Iterator[Thing]:
        for _ in range(20):
            thing = Thing()
            alive.add(thing)
            yield thing
            del thing

    most = 0
    for thing in ahead(things(), 1):
        del thing
        time.sleep(0.002)
        most = max(most, len(alive))
    assert most <= 3  # the one taken until the next is asked for, one that waits, one in the making


@pytest.mark.skipif(os.name == "nt", reason="signals interrupt no wait there")
def test_an_interrupt_at_any_moment_ends_both_threads():
    """Also while the thread is being started, and within a queue: none is left behind, and nothing is waited for."""
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for run in range(150):
            taking = ahead(iter(numbers()), 1 + run % 3)
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.0001 + 0.00005 * run)
                for _ in taking:
                    pass
            taking.close()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    deadline = time.monotonic() + 30
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == 0


@pytest.mark.skipif(os.name == "nt", reason="signals interrupt no wait there")
def test_an_interrupt_that_swallows_the_last_token_is_raised_and_no_more(monkeypatch):
    """It may come when the token that tells of the thread's end has been taken, and nothing was made of it yet."""

    class Swallowing(SimpleQueue):
        def get(self, *args, **settings):
            super().get(*args, **settings)
            raise KeyboardInterrupt

    monkeypatch.setattr("vidcm.core.ahead.Shared", lambda: Shared(ended=Swallowing()))
    running = ahead(iter(range(3)))
    next(running)
    with pytest.raises(KeyboardInterrupt):
        running.close()
    assert threads() == 0
