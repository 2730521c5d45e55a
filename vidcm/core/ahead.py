"""Work in a pipeline: a generator that runs in a thread of its own, a few items ahead of the one who takes them."""

from collections.abc import Generator, Iterator
from contextlib import closing, nullcontext
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
POLL_S = 0.1  # how long a thread that waits takes to notice that nobody wants its items any more


class Item(NamedTuple, Generic[T]):
    value: T


class End(NamedTuple):
    """error: what ended it, None where it came to its end."""

    error: BaseException | None


def ahead(items: Iterator[T], depth: int = 1) -> Generator[T, None, None]:
    """The items, in order. At most `depth` are waiting, beside the one in the making: memory stays flat. With
    a depth of 0 none is made before it is asked for, and there is no thread.

    What the generator raises is raised here. When this one is closed, or its taker fails, the thread ends with the item
    it is at, and the generator is closed in it."""
    if depth == 0:
        with closing(items) if isinstance(items, Generator) else nullcontext():
            yield from items
        return
    waiting: Queue[Item[T] | End] = Queue(depth)
    unwanted, ended = Event(), Event()
    thread = Thread(target=_run, args=(items, waiting, unwanted, ended), name="vidcm-ahead", daemon=True)
    thread.start()
    try:
        while isinstance(taken := _take(waiting), Item):
            yield taken.value
            del taken  # or it would be held while the next one is waited for
        if taken.error is not None:
            raise taken.error
    finally:
        unwanted.set()
        try:
            _wait(ended)
        finally:
            thread.join()


def _wait(ended: Event) -> None:
    """Until the thread is through: what it reads from is closed next. An interrupt meanwhile is raised then.

    An interrupted `Thread.join` may take a thread for dead that is not, so it comes after."""
    interrupt: KeyboardInterrupt | None = None
    while not ended.is_set():
        try:
            ended.wait()
        except KeyboardInterrupt as raised:
            interrupt = raised
    if interrupt is not None:
        raise interrupt


def _run(items: Iterator[T], waiting: "Queue[Item[T] | End]", unwanted: Event, ended: Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _put(waiting, Item(item), unwanted):
                break
            del item
    except BaseException as raised:
        error = raised
    finally:
        try:
            if isinstance(items, Generator):
                items.close()
        except BaseException as raised:
            error = error or raised
        _put(waiting, End(error), unwanted)
        ended.set()


def _put(waiting: "Queue[Item[T] | End]", item: Item[T] | End, unwanted: Event) -> bool:
    """Whether it found room before nobody wanted it."""
    while not unwanted.is_set():
        try:
            waiting.put(item, timeout=POLL_S)
        except Full:
            continue
        return True
    return False


def _take(waiting: "Queue[Item[T] | End]") -> Item[T] | End:
    while True:
        try:
            return waiting.get(timeout=POLL_S)  # without a limit, Windows would not hear Ctrl-C
        except Empty:
            continue
