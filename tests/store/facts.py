"""What the store's tests append and read back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pyarrow as pa

from store import Event, EventStore, StoreError


def fact(number: int = 0, **fields: Any) -> Event:
    return Event("Happened", {"number": number}, **fields)


def facts(count: int) -> list[Event]:
    return [fact(number) for number in range(count)]


def everything(store: EventStore) -> list[dict[str, Any]]:
    return store.read_all().read_all().to_pylist()


def table(rows: int = 3, **columns: Any) -> pa.Table:
    """Events to append as a table; a column given as None is left out."""
    given = {"stream_id": ["a"] * rows, "type": ["Happened"] * rows, "data": ["{}"] * rows} | columns
    return pa.table({name: values for name, values in given.items() if values is not None})


def at_once(threads: int, work: Callable[[int], Any]) -> list[Any]:
    """What each thread's work gave, or the store's error that ended it; all begin together."""
    start = Barrier(threads)

    def run(number: int) -> Any:
        start.wait()
        try:
            return work(number)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))
