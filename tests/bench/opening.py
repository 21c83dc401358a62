"""Opening the big log, what the first appends to cold streams cost, and the memory of a writer on it."""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from store import ANY, EventStore, ExpectedVersion, open_store
from tests.bench.children import alone
from tests.bench.memory import peak_mb, resident_mb
from tests.bench.run import Run, ms
from tests.bench.table_files import live_files
from tests.bench.workload import order, order_name, single_orders

IMPORT = "import time; began = time.perf_counter(); import store; print(time.perf_counter() - began)"
AFTER_FIRST: Final = 100
READS: Final = 20
"""So many appends for each read."""
UNCHECKED: Final = 50
"""So many appends at an exact version for each at none."""


def section(run: Run) -> None:
    big, repeats = run.big_log(), range(run.sizes.repeats)
    place = str(big.place)
    run.table(f"a log of {live_files(big.place).rows:,} events, each line in a process of its own", "", "memory then, MB", "at most")
    openings = [alone(opened, place) for _ in repeats]
    run.row("imports", f"{ms(statistics.median(_imported() for _ in repeats))} ms", f"{openings[0].base_mb:,.0f}", "")
    run.row("open", f"{ms(statistics.median(o.spent_s for o in openings))} ms", *_memory(openings[-1]))
    first = AFTER_FIRST + 1
    cold = alone(cold_appends, place, [order_name(number, big.names) for number in range(first)])
    run.row("first append to a cold stream", f"{ms(cold.spent_s)} ms", "", "")
    run.row(f"{AFTER_FIRST} more, each to a cold stream", f"{ms(cold.after_s)} ms (median)", *_memory(cold))
    table = single_orders(first, min(run.sizes.cold, big.orders - first), big.names)
    mixed = alone(cold_table, place, table)
    run.row(f"one table that touches {len(table):,} cold streams", f"{len(table) / mixed.spent_s:,.0f} events/s", *_memory(mixed))
    untouched = range(first + len(table), big.orders)
    picked = [order_name(number, big.names) for number in random.Random(11).sample(untouched, min(run.sizes.touches, len(untouched)))]
    few = len(picked) // UNCHECKED
    for what, streams, expected in (("exact version", picked[few:], 10), ("no expected version", picked[:few], ANY)):
        cost = alone(touches, place, streams, expected)
        run.row(
            f"{len(streams):,} appends to random streams, {what}, 256 tasks; {len(streams) // READS:,} reads",
            f"{len(streams) / cost.spent_s:,.0f} appends/s, {ms(cost.after_s)} ms a read", *_memory(cost),
        )  # fmt: skip


class Cost(NamedTuple):
    """Seconds of the first and of each later action; memory after the imports, then, and the most there ever was."""

    spent_s: float
    after_s: float
    base_mb: float
    now_mb: float
    peak_mb: float


def _memory(cost: Cost) -> tuple[str, str]:
    return f"{cost.now_mb:,.0f}", f"{cost.peak_mb:,.0f}"


def _imported() -> float:
    """Seconds, in an interpreter that has imported nothing yet."""
    house = Path(__file__).parents[2]
    return float(subprocess.run([sys.executable, "-c", IMPORT], cwd=house, check=True, capture_output=True, text=True).stdout)


def opened(place: str) -> Generator[None, None, Cost]:
    yield
    base, began = resident_mb(), time.perf_counter()
    with open_store(place):
        return Cost(time.perf_counter() - began, 0.0, base, resident_mb(), peak_mb())


def cold_appends(place: str, orders: list[str]) -> Generator[None, None, Cost]:
    """To streams of ten events that this handle has not seen, at their exact version."""
    yield
    base, spent = resident_mb(), []
    with open_store(place) as store:
        for stream_id in orders:
            events, began = order(stream_id, 10, 1), time.perf_counter()
            store.append(stream_id, events, 10)
            spent.append(time.perf_counter() - began)
        return Cost(spent[0], statistics.median(spent[1:]), base, resident_mb(), peak_mb())


def cold_table(place: str, table: pa.Table) -> Generator[None, None, Cost]:
    """One more event for each of many streams, as one table."""
    streams = table["stream_id"]
    yield
    base = resident_mb()
    with open_store(place) as store:
        began = time.perf_counter()
        store.append_table(table)
        cost = Cost(time.perf_counter() - began, 0.0, base, resident_mb(), peak_mb())
        for stream_id in (streams[0].as_py(), pc.max(streams).as_py()):
            if store.stream_version(stream_id) != 11:
                raise AssertionError(f"{stream_id} is at version {store.stream_version(stream_id)}, not 11")
        return cost


def touches(place: str, streams: list[str], expected: ExpectedVersion) -> Generator[None, None, Cost]:
    """An append to each from 256 tasks, then some reads. What a writer holds after a long day."""
    yield
    base = resident_mb()
    with open_store(place) as store:

        async def client(mine: list[str]) -> None:
            for stream_id in mine:
                await store.aio.append(stream_id, order(stream_id, 10, 1), expected)

        async def everyone() -> None:
            await asyncio.gather(*(client(streams[task::256]) for task in range(256)))

        began = time.perf_counter()
        asyncio.run(everyone())
        appended = time.perf_counter() - began
        reads = [_read(store, stream_id) for stream_id in streams[: max(1, len(streams) // READS)]]
        return Cost(appended, statistics.median(reads), base, resident_mb(), peak_mb())


def _read(store: EventStore, stream_id: str) -> float:
    began = time.perf_counter()
    store.read_stream(stream_id)
    return time.perf_counter() - began
