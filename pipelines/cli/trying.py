"""`demo` and `bench`: seeing what it does, and how quickly it does so on this machine."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import pyarrow as pa
from cyclopts import Parameter

from pipelines.cli.bars import working
from pipelines.cli.outcome import MisusedError
from pipelines.cli.session import HERE, Session
from store import Event, EventStore, open_store

_ALONE: Final = 200
_THREADS: Final = 32
_EACH: Final = 20
_BULK: Final = 100_000
_DATA: Final = {"carrier": "UA", "flight": 1545, "origin": "EWR", "destination": "IAH", "delay_min": 2, "remarks": "x" * 100}


def demo(*, session: Session = HERE) -> int:
    """Load every flight out of New York in 2013, project, and ask a few questions. Safe to run again."""
    from pipelines.demo import show  # with Dagster, which nothing else here needs

    return show(session.uri)


def bench(
    place: Annotated[Path, Parameter(help="A directory on the disk that is asked about. [here]")] = Path(),
    /,
    *,
    repeats: Annotated[int, Parameter(help="The median of so many is told. [3]")] = 3,
    session: Session = HERE,
) -> None:
    """Measure durable appends, reads and questions in a warehouse that is thrown away, beside what the bare disk does: ten seconds or so.

    Our own numbers, and how they were measured: docs/performance.md.
    """
    if not place.is_dir():
        raise MisusedError(f"{place} is no directory here: name one on the disk that is asked about")
    if repeats < 1:
        raise MisusedError(f"{repeats} repeats measure nothing: say 1 or more")
    with _thrown_away(place) as folder, open_store(folder / "warehouse", create=True) as store:
        measures = _measures(store, folder)
        with working("measuring"):
            rows = [{"work": name, "per second": round(statistics.median(run() for _ in range(repeats)))} for name, run in measures.items()]
    session.answer.rows("", rows)


def _measures(store: EventStore, folder: Path) -> dict[str, Callable[[], float]]:
    """Each tells how much of it was done in a second."""
    return {
        "bare disk: append 200 bytes, fdatasync": partial(_synced, folder / "floor"),
        "events, one client, one at a time": lambda: _rate(_ALONE, lambda: [store.append("alone-1", [_event()]) for _ in range(_ALONE)]),
        f"events, {_THREADS} threads, one at a time": partial(_threads, store),
        "events, tables of 100,000": lambda: _rate(_BULK, partial(store.append_table, _table())),
        "streams of 100 events read": lambda: _rate(50, lambda: [store.read_stream(f"bulk-{n}") for n in range(50)]),
        "events replayed as Arrow": lambda: _rate(store.head(), lambda: store.read_all().read_all()),
        "events summed up in SQL": lambda: _rate(store.head(), lambda: store.sql(_QUESTION).fetchall()),
    }


_QUESTION: Final = "select type, sum((data ->> 'delay_min')::int) from events group by all"


def _synced(path: Path) -> float:
    with path.open("ab") as file:
        def write() -> None:
            for _ in range(_ALONE):
                file.write(b"x" * 200)
                file.flush()
                os.fdatasync(file.fileno())

        return _rate(_ALONE, write)


def _threads(store: EventStore) -> float:
    def client(number: int) -> None:
        for _ in range(_EACH):
            store.append(f"client-{number}", [_event()])

    with ThreadPoolExecutor(_THREADS) as pool:
        return _rate(_THREADS * _EACH, lambda: list(pool.map(client, range(_THREADS))))


def _event() -> Event:
    return Event("Departed", _DATA)


def _table() -> pa.Table:
    data = orjson.dumps(_DATA).decode()
    streams = [f"bulk-{row % (_BULK // 100)}" for row in range(_BULK)]
    return pa.table({"stream_id": streams, "type": pa.repeat(pa.scalar("Departed"), _BULK), "data": pa.repeat(pa.scalar(data), _BULK)})


def _rate(count: int, run: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    run()
    return count / (time.perf_counter() - began_s)


@contextmanager
def _thrown_away(place: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="alluvium-bench-", dir=place))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
