"""Point reads on a large log, and what a commit costs as commits pile up."""

from __future__ import annotations

import random
import statistics
import time
from pathlib import Path

from store import Event, EventStore, open_store
from tests.bench.workload import history, order


def point_reads(folder: Path, events: int) -> dict[str, float]:
    """Milliseconds to read a 10-event stream among `events`: median over many streams."""
    place = str(folder / "reads")
    orders = [f"order-{number:08d}" for number in random.Random(7).sample(range(events // 10), 200)]
    with open_store(place, create=True) as store:
        table = history(events)
        for start in range(0, events, 250_000):
            store.append_table(table.slice(start, 250_000))
        for number in range(200):
            store.append(f"late-{number}", order(f"late-{number}", 0, 1))
    measured = {"cold (opened just before, footers not read)": _cold(place, orders[:20])}
    with open_store(place) as store:
        _read(store, orders)
        measured["footers cached"] = _read(store, orders)
        store.compact()
    measured["cold, compacted"] = _cold(place, orders[:20])
    with open_store(place) as store:
        _read(store, orders)
        measured["footers cached, compacted"] = _read(store, orders)
    return measured


def _cold(place: str, orders: list[str]) -> float:
    spent = []
    for stream_id in orders:
        with open_store(place) as store:
            spent.append(_timed(store, stream_id))
    return statistics.median(spent)


def _read(store: EventStore, orders: list[str]) -> float:
    return statistics.median(_timed(store, stream_id) for stream_id in orders)


def _timed(store: EventStore, stream_id: str) -> float:
    began = time.perf_counter()
    if len(store.read_stream(stream_id)) != 10:
        raise AssertionError(f"{stream_id} has not ten events")
    return (time.perf_counter() - began) * 1e3


def commit_growth(folder: Path, commits: int) -> tuple[float, float]:
    """Median milliseconds of one-event commits: the first 100 after a warm-up, and the last 100 of `commits`."""
    spent = []
    with open_store(str(folder / "growth"), create=True) as store:
        for number in range(commits):
            began = time.perf_counter()
            store.append(f"order-{number}", [Event("OrderPlaced", {"number": number})], 0)
            spent.append((time.perf_counter() - began) * 1e3)
    return statistics.median(spent[20:120]), statistics.median(spent[-100:])
