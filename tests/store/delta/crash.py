"""The victims of the crash tests: `python -m tests.store.delta.crash` forks one process an order and tells what became of it.

What a store's threads, locks and Delta's runtime hold does not survive a fork, so this process imports everything
and opens nothing: a child costs 20 ms in place of a second. In the child every system call by which the storage module
changes the disk is a *step*; at the ordered one the child is killed, stopped, or answered with a fault. Steps are counted,
never listed here: what a work does more tomorrow is covered tomorrow.
"""

from __future__ import annotations

import errno
import itertools
import os
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from store import ANY, NO_STREAM, Append, Event, OutcomeUnknownError, StorageError, StoreClosedError, StoreError, open_store
from store.delta import log, log_cleanup, segment
from store.delta.delta_store import DeltaEventStore
from store.storage import folders, local_objects

ENDLESS: Final = 1_000_000
"""A step that no work reaches: it ends by itself."""

Answers = Iterator[list[int]]
"""What a work is answered, acknowledgement by acknowledgement: the last position first, then all of the answer."""


@dataclass(frozen=True)
class Order:
    """`act` at step number `step` (from 0) of `work`; then, if it was a fault, the same once more on a healthy disk."""

    work: str
    warehouse: str
    step: int = ENDLESS
    act: str = "kill"


# Works: the same events with the same ids each time, so that anybody can repeat one -------------------------------


def event(name: str) -> Event:
    return Event("Happened", {"name": name}, event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, name)))


def append(store: DeltaEventStore) -> Answers:
    """Two appends, one after the other, to a stream of one's own."""
    for version in (0, 2):
        answer = store.append("own", [event(f"own-{version}"), event(f"own-{version + 1}")], version)
        yield [answer.position, *answer]


def append_many(store: DeltaEventStore) -> Answers:
    """One append over a known stream and a new one."""
    parts = [Append("a-1", [event("many-1"), event("many-2")], ANY), Append("new", [event("many-3")], NO_STREAM)]
    answers = store.append_many(parts)
    yield [answers[-1].position, *(place for answer in answers for place in answer)]


def append_leaves(store: DeltaEventStore) -> Answers:
    """A table that lands as leaf shards, sorted, where a leaf is as small as it is here."""
    streams = [f"leaf-{number % 3}" for number in range(90)]
    ids = [str(event(f"leaf/{number}").event_id) for number in range(90)]
    table = pa.table({"stream_id": streams, "type": ["Happened"] * 90, "data": ["{}"] * 90, "event_id": ids})
    answer = store.append_table(table)
    yield [answer.position, *answer]


def quietly(work: Callable[[DeltaEventStore], object]) -> Callable[[DeltaEventStore], Answers]:
    """A work that acknowledges no events."""

    def run(store: DeltaEventStore) -> Answers:
        work(store)
        return iter(())

    return run


WORKS: Final[dict[str, Callable[[DeltaEventStore], Answers]]] = {
    "append": append,
    "append_many": append_many,
    "append_leaves": append_leaves,
    "compact": quietly(lambda store: store.compact()),
    "checkpoint": quietly(lambda store: store.checkpoint()),
    "clean_log": quietly(lambda store: store.clean_log(0)),
    "vacuum": quietly(lambda store: store.vacuum(0)),
    "create": quietly(lambda store: store.head()),
}


# Steps --------------------------------------------------------------------------------------------------------------

CHANGING: Final = ("write", "fsync", "fdatasync", "link", "unlink", "mkdir", "rmdir", "rename", "replace", "truncate", "ftruncate")


class Steps:
    """The `os` that the storage module sees: the real one, but the calls that change the disk are counted."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._numbers = itertools.count()
        self.healthy = False
        for name in CHANGING:
            setattr(self, name, self._counted(name, getattr(os, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not flags & os.O_CREAT:
            return os.open(path, flags, mode, dir_fd=dir_fd)
        return int(self._counted("open", os.open)(path, flags, mode, dir_fd=dir_fd))

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **places: Any) -> Any:
            number = next(self._numbers)
            act = ACTS[self._order.act]
            if number >= self._order.step and not self.healthy:
                act(name, number == self._order.step, lambda: tell(step=number, call=name, of=self._named(arguments[0])))
            result = call(*arguments, **places)
            if number == self._order.step and self._order.act == "kill_after":
                kill(name, True, lambda: tell(step=number, call=name, of=self._named(arguments[0])))
            return result

        return step

    @staticmethod
    def _named(file: str | int) -> str:
        return os.readlink(f"/proc/self/fd/{file}") if isinstance(file, int) else str(file)


Act = Callable[[str, bool, Callable[[], None]], None]
"""What happens before the call `name`: whether it is the ordered step itself or a later one; how to tell of it."""


def kill(name: str, here: bool, told: Callable[[], None]) -> None:
    if here:
        told()
        signal.pthread_kill(threading.get_ident(), signal.SIGKILL)


def stop(name: str, here: bool, told: Callable[[], None]) -> None:
    """To this thread, so that no further instruction of it runs; the others stop with it."""
    if here:
        told()
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def failing(number: int, once: bool) -> Act:
    def fail(name: str, here: bool, told: Callable[[], None]) -> None:
        if (here or not once) and not (number == errno.ENOSPC and name in ("unlink", "rmdir")):
            told()
            raise OSError(number, os.strerror(number))

    return fail


ACTS: Final[dict[str, Act]] = {
    "kill": kill,
    "kill_after": lambda name, here, told: None,
    "stop": stop,
    "disk_full": failing(errno.ENOSPC, once=False),
    "io_error": failing(errno.EIO, once=True),
}
"""A full disk lasts until the work has been answered."""


# Processes ------------------------------------------------------------------------------------------------------------


def tell(**what: Any) -> None:
    os.write(1, orjson.dumps(what) + b"\n")        # one write: a kill leaves whole lines


def work(order: Order) -> None:
    steps = local_objects.os = folders.os = Steps(order)  # type: ignore[assignment]
    log.SETTLE_S = 0.0                             # type: ignore[misc]  # an unknown outcome is told at once
    segment.LEAF_ROWS = 4                          # type: ignore[misc]  # a hundred rows are many
    log.ASLEEP_S = 0.0                             # type: ignore[misc]  # every put is one after a sleep
    log_cleanup.YOUNGEST_S = 0.0                   # type: ignore[misc]
    with open_store(order.warehouse, create=order.work == "create") as store:
        if answered(order, store):
            return
        steps.healthy = True
        if answered(order, store, again=True):
            return
    with open_store(order.warehouse) as store:
        answered(order, store, again=True)


def answered(order: Order, store: DeltaEventStore, again: bool = False) -> bool:
    """Tell each answer, or the error that ended the work. False: not the store but its storage failed."""
    try:
        for answer in WORKS[order.work](store):
            tell(answer=answer, again=again)
    except StoreError as error:
        tell(error=type(error).__name__, message=str(error), head=store.head())
        return not isinstance(error, StorageError | OutcomeUnknownError | StoreClosedError)
    return True


def serve() -> None:
    """One order a line; of each, what the child tells, `stopped` whenever it stops, and at last `ended`."""
    for line in sys.stdin.buffer:
        if (child := os.fork()) == 0:
            try:
                work(Order(**orjson.loads(line)))
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
        while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
            tell(stopped=child)
        tell(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve()
