"""Work in a pipeline: a generator that runs in a thread of its own, a few items ahead of the one who takes them.

Ctrl-C is raised in the taker, anywhere: also within Python's own Condition, where it can leave a lock behind that the
other thread then waits for without end. So the threads share SimpleQueues, which are written in C, and a plain flag.
"""

from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")
POLL_S = 0.1  # how long a thread that waits takes to notice that nobody wants its items any more


class Item(NamedTuple, Generic[T]):
    value: T


class End(NamedTuple):
    """error: what ended it, None where it came to its end."""

    error: BaseException | None


@dataclass
class Shared(Generic[T]):
    """What both threads know. waiting: items on their way; room: a token for each that may still be; go: whether to
    begin; is_through: whether the thread is, and ended: a token then, to be woken by, which an interrupt may swallow;
    is_over: whether nobody wants items any more."""

    waiting: "SimpleQueue[Item[T] | End]" = field(default_factory=SimpleQueue)
    room: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    go: "SimpleQueue[bool]" = field(default_factory=SimpleQueue)
    ended: "SimpleQueue[None]" = field(default_factory=SimpleQueue)
    is_through: bool = False
    is_over: bool = False

    def end(self) -> None:
        """Of the thread."""
        self.is_through = True
        self.ended.put(None)


def ahead(items: Iterator[T], depth: int = 1) -> Generator[T, None, None]:
    """The items, in order. At most `depth` are waiting, beside the one in the making: memory stays flat. With
    a depth of 0 none is made before it is asked for, and there is no thread.

    What the generator raises is raised here. When this one is closed, or its taker fails, the thread ends with the item
    it is at, and the generator is closed in it."""
    if depth == 0:
        with closing(items) if isinstance(items, Generator) else nullcontext():
            yield from items
        return
    shared: Shared[T] = Shared()
    for _ in range(depth):
        shared.room.put(None)
    thread, is_begun = Thread(target=_run, args=(items, shared), name="vidcm-ahead", daemon=True), False
    try:
        thread.start()  # an interrupt in there does not say whether there is a thread now
        is_begun = True
        shared.go.put(True)
        while isinstance(taken := _take(shared), Item):
            shared.room.put(None)
            yield taken.value
            del taken  # or it would be held while the next one is waited for
        if taken.error is not None:
            raise taken.error
    finally:
        shared.is_over = True
        shared.go.put(False)
        if is_begun:
            try:
                _wait(shared)
            finally:
                thread.join()
        else:
            _close(items)


def _wait(shared: Shared[Any]) -> None:
    """Until the thread is through: what it reads from is closed next. An interrupt meanwhile is raised then.

    An interrupted `Thread.join` may take a thread for dead that is not, so it comes after."""
    interrupt: KeyboardInterrupt | None = None
    while not shared.is_through:
        try:
            shared.ended.get(timeout=POLL_S)
        except Empty:
            continue
        except KeyboardInterrupt as raised:
            interrupt = raised
    if interrupt is not None:
        raise interrupt


def _run(items: Iterator[T], shared: Shared[T]) -> None:
    error: BaseException | None = None
    if not shared.go.get():
        shared.end()
        return
    try:
        for item in items:
            if not _put(shared, Item(item)):
                break
            del item
    except BaseException as raised:
        error = raised
    finally:
        try:
            _close(items)
        except BaseException as raised:
            error = error or raised
        _put(shared, End(error))
        shared.end()


def _close(items: Iterator[Any]) -> None:
    if isinstance(items, Generator):
        items.close()


def _put(shared: Shared[T], item: Item[T] | End) -> bool:
    """Whether it found room before nobody wanted it."""
    while not shared.is_over:
        try:
            shared.room.get(timeout=POLL_S)
        except Empty:
            continue
        shared.waiting.put(item)
        return True
    return False


def _take(shared: Shared[T]) -> Item[T] | End:
    while True:
        try:
            return shared.waiting.get(timeout=POLL_S)  # without a limit, Windows would not hear Ctrl-C
        except Empty:
            continue
