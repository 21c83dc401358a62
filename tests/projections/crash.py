"""The victims of the crash tests of read models: `python -m tests.projections.crash` forks one process an order; see `tests.store.delta.crash`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final

import orjson
import pyarrow as pa

from projections import DeadLetters, Park, Projection, ReadModel, Sql, catch_up, fill, rebuild, retry
from store import Event, MemoryEventStore
from store.keyed import leaves, upkeep
from store.storage import folders, local_objects
from tests.store.delta.crash import Order, Steps, tell

EVENTS: Final = 20
BEFORE: Final = 15
"""So many of them the model holds already."""


def the_log() -> MemoryEventStore:
    """The same in every process: sums of three accounts, of which one meets an event that cannot be applied."""
    store = MemoryEventStore()
    for number in range(1, EVENTS + 1):
        data = {"amount": "much" if number == 17 else number}
        store.append(f"account-{number % 3}", [Event("Deposited", data, event_id=f"00000000-0000-0000-0000-{number:012d}")])
    return store


@cache
def sums(version: int = 1) -> Projection:
    """`position` is among the columns of the key, so that rows are many; those of every fifth event are one row."""
    select = """
        select if(position % 5 = 0, 0, position) as number, stream_id as account,
               coalesce(try_cast(data ->> 'amount' as bigint), if(version > 0, error('much'), 0)) as total
        from events
    """
    columns = pa.schema({"account": pa.string(), "number": pa.int64(), "total": pa.int64()})
    return Projection(name="sums", version=version, key=("account", "number"), columns=columns, form=Sql(select, {"total": "sum"}))


def model_at(warehouse: str, version: int = 1) -> ReadModel:
    return ReadModel.under(warehouse, sums(version))


def parking(warehouse: str) -> Park:
    return Park(DeadLetters(warehouse), attempts=1)


def caught_up(warehouse: str) -> None:
    catch_up(the_log(), model_at(warehouse), batch_events=5, failing=parking(warehouse))


def filled(warehouse: str) -> None:
    fill(the_log(), model_at(warehouse), batch_events=4, held_bytes=1, failing=parking(warehouse))


def rebuilt(warehouse: str) -> None:
    """Of a log without the event that cannot be applied."""
    rebuild(the_log_so_far(), warehouse, sums(version=2))


def the_log_so_far() -> MemoryEventStore:
    store = MemoryEventStore()
    for event in the_log().read_all(until=14).read_all().to_pylist():
        store.append(event["stream_id"], [Event(event["type"], event["data"].encode(), event_id=event["event_id"])])
    return store


def maintained(warehouse: str) -> None:
    model_at(warehouse).maintain()


def retried(warehouse: str) -> None:
    """The stream goes on without the event that could not be applied: it was mended by hand."""
    model = model_at(warehouse)
    letters = DeadLetters(warehouse)
    there = letters.of(model, "account-2")
    at = there.column_names.index("data")
    letters.put(model, there.set_column(at, there.schema.field("data"), pa.array(['{"amount": 1}'] * len(there), pa.string())), 0, EVENTS)
    retry(letters, model, "account-2")


WORKS: Final[dict[str, Callable[[str], None]]] = {
    "caught_up": caught_up,
    "filled": filled,
    "rebuilt": rebuilt,
    "maintained": maintained,
    "retried": retried,
}


class Disk(Steps):
    """Steps that know what a power loss would take: contents that were not synced, and names in folders that were not."""

    def __init__(self, order: Order) -> None:
        self._lock = threading.Lock()
        self._contents: set[str] = set()
        self._names: set[str] = set()
        super().__init__(replace(order, act="kill"))
        self._loses = order.act == "lose_power"

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **places: Any) -> Any:
            with self._lock:
                if (number := next(self._numbers)) == self._order.step:
                    tell(step=number, call=name, of=self._named(arguments[0]))
                    if self._loses:
                        self._lose()
                    os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **places)
            with self._lock:
                self._note(name, arguments, places)
            return result

        return step

    def _note(self, name: str, arguments: tuple[Any, ...], places: dict[str, Any]) -> None:
        if name == "write":
            self._contents.add(self._named(arguments[0]))
        elif name == "fsync":
            synced = self._named(arguments[0])
            self._contents.discard(synced)
            self._names = {path for path in self._names if os.path.dirname(path) != synced}
        elif name == "open":
            self._names.add(_path(arguments[0], places.get("dir_fd")))
        elif name in ("link", "rename"):
            old, new = _path(arguments[0], places.get("src_dir_fd")), _path(arguments[1], places.get("dst_dir_fd"))
            self._names.add(new)
            if old in self._contents:
                self._contents.add(new)

    def _lose(self) -> None:
        for path in self._contents:
            if os.path.exists(path):
                os.truncate(path, 0)
        for path in self._names:
            if os.path.isfile(path):
                os.unlink(path)


def _path(name: str, folder: int | None) -> str:
    return name if folder is None else os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)


def work(order: Order) -> None:
    leaves.LEAST_ROWS = 4                          # type: ignore[misc]  # a hundred rows are many
    upkeep.CHECKPOINT_EVERY = 2                    # type: ignore[misc]
    upkeep.CLEAN_EVERY_S = upkeep.RETENTION_S = upkeep.UNNAMED_S = 0.0  # type: ignore[misc]
    upkeep.KEPT_FILES = 0                          # type: ignore[misc]
    local_objects.os = folders.os = Disk(order)  # type: ignore[assignment]
    WORKS[order.work](order.warehouse)


def serve() -> None:
    for line in sys.stdin.buffer:
        if (child := os.fork()) == 0:
            try:
                work(Order(**orjson.loads(line)))
                os._exit(0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(1)
        tell(ended=os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    serve()
