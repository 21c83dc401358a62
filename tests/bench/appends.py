"""Rates of durable appends, each beside its floors."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from store import NO_STREAM, EventStore, Observer, WrongExpectedVersionError, open_store
from tests.bench import floors
from tests.bench.run import Measure, Run, beside
from tests.bench.workload import history, order, single_orders


def section(run: Run) -> None:
    _rates(run)
    _storm(run)
    there = single_orders(0, run.sizes.streams)
    rate = run.medians(lambda f: new_streams(f, 256, run.sizes.seconds, there))[0]
    run.table("a new stream an event, 256 asyncio tasks", "events/s")
    run.row(f"{run.sizes.streams:,} streams there already", f"{rate:,.0f}")


def _rates(run: Run) -> None:
    seconds, table = run.sizes.seconds, history(0, run.sizes.small_events)
    run.table("work", "events/s", "raw append + fdatasync", "of it", "`write_deltalake` (no fsync)", "of it")

    def rate(work: str, ours: Measure, raw: Measure | None, plain_rows: int | None) -> None:
        plain = _plain(run, plain_rows) if plain_rows else None
        median, floor, other = run.medians(ours, raw, plain)
        run.row(work, f"{median:,.0f}", *beside(median, floor), *beside(median, other))

    rate("1 client, 1 event", lambda f: clients(f, 1, 1, seconds), lambda f: floors.raw_append(f, 1, seconds), 1)
    rate("32 threads, 1 event", lambda f: clients(f, 32, 1, seconds), lambda f: floors.raw_threads(f, 32, seconds), None)
    rate("32 asyncio tasks, 1 event", lambda f: tasks(f, 32, seconds), lambda f: floors.raw_tasks(f, 32, seconds), None)
    rate("256 asyncio tasks, 1 event", lambda f: tasks(f, 256, seconds), lambda f: floors.raw_tasks(f, 256, seconds), None)
    rate("1 client, 100 events", lambda f: clients(f, 1, 100, seconds), lambda f: floors.raw_append(f, 100, seconds), 100)
    rate("8 clients, 100 events", lambda f: clients(f, 8, 100, seconds), lambda f: floors.raw_append(f, 800, seconds), 800)
    rate("Python events, 10,000 an append", lambda f: python_events(f, max(1, run.sizes.small_events // 50_000), 10_000), None, 10_000)
    rate(f"one Arrow table of {len(table):,}", lambda f: bulk(f, table), None, len(table))


def _plain(run: Run, rows: int) -> Measure:
    with open_store(str(run.folder() / "source"), create=True) as store:
        store.append_table(history(0, rows))
        events = store.read_all().read_all()
    return lambda folder: floors.plain_deltalake(folder, events, min(run.sizes.seconds, 1.0))


def _storm(run: Run) -> None:
    storms: list[Storm] = []

    def stormed(folder: Path) -> float:
        storms.append(storm(folder, 16, run.sizes.seconds))
        return storms[-1].successes_s

    contended, single = run.medians(stormed, lambda f: clients(f, 1, 1, run.sizes.seconds))
    run.table("16 threads on one stream, reading and retrying", "successes/s", "one client", "of it", "busiest / slowest", "conflicts per success")
    worst = max(s.unfairness for s in storms)
    conflicts = sum(s.conflicts for s in storms) / max(1, sum(s.successes for s in storms))
    run.row("1 event an append", f"{contended:,.0f}", *beside(contended, single), f"{worst:.1f}", f"{conflicts:.1f}")


def clients(folder: Path, count: int, batch: int, seconds: float) -> float:
    """Events/s of threads that append `batch` events at a time, each to its own orders, at an exact version."""
    counts = [0] * count
    with open_store(str(folder / "ours"), create=True) as store:

        def client(number: int, end: float) -> None:
            for turn in itertools.count():
                if time.perf_counter() > end:
                    return
                stream_id, version = f"order-{number}-{turn // 10}", turn % 10 * batch
                store.append(stream_id, order(stream_id, version, batch), version)
                counts[number] += batch

        threaded(client, count, seconds)
        check_head(store, sum(counts))
    return sum(counts) / seconds


class Storm(NamedTuple):
    """Many clients on one stream. `unfairness`: appends of the busiest over those of the slowest."""

    successes: int
    successes_s: float
    conflicts: int
    unfairness: float


def storm(folder: Path, count: int, seconds: float) -> Storm:
    """Each reads what is new, appends one event at the version it saw, and does so again when another was first."""
    won, lost = [0] * count, [0] * count
    with open_store(str(folder / "ours"), create=True) as store:

        def client(number: int, end: float) -> None:
            version = 0
            while time.perf_counter() < end:
                version += len(store.read_stream("order-storm", after=version))
                try:
                    version = store.append("order-storm", order("order-storm", version, 1), version).version
                    won[number] += 1
                except WrongExpectedVersionError:
                    lost[number] += 1

        threaded(client, count, seconds)
        check_head(store, sum(won))
    return Storm(sum(won), sum(won) / seconds, sum(lost), max(won) / max(1, min(won)))


def threaded(client: Callable[[int, float], None], count: int, seconds: float) -> None:
    """Runs client(number, end) in so many threads. One that fails fails the measurement."""
    end, failures = time.perf_counter() + seconds, list[BaseException]()

    def guarded(number: int) -> None:
        try:
            client(number, end)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def tasks(folder: Path, count: int, seconds: float) -> float:
    """Events/s of asyncio tasks, one event at a time."""
    appended = 0

    async def run() -> None:
        end = time.perf_counter() + seconds

        async def client(number: int) -> None:
            nonlocal appended
            for turn in itertools.count():
                if time.perf_counter() > end:
                    return
                stream_id, version = f"order-{number}-{turn // 10}", turn % 10
                await store.aio.append(stream_id, order(stream_id, version, 1), version)
                appended += 1

        await asyncio.gather(*(client(number) for number in range(count)))

    with open_store(str(folder / "ours"), create=True) as store:
        asyncio.run(run())
        check_head(store, appended)
    return appended / seconds


def new_streams(folder: Path, count: int, seconds: float, there: pa.Table) -> float:
    """Events/s of asyncio tasks that begin a stream with every event, once one append has made the handle know the streams there are."""
    appended = 0

    async def run() -> None:
        await store.aio.append("order-first", order("order-first", 0, 1), NO_STREAM)
        end = time.perf_counter() + seconds

        async def client(number: int) -> None:
            nonlocal appended
            for turn in itertools.count():
                if time.perf_counter() > end:
                    return
                stream_id = f"order-{number}-{turn}"
                await store.aio.append(stream_id, order(stream_id, 0, 1), NO_STREAM)
                appended += 1

        await asyncio.gather(*(client(number) for number in range(count)))

    with open_store(str(folder / "ours"), create=True) as store:
        store.append_table(there)
    with open_store(str(folder / "ours")) as store:
        asyncio.run(run())
        check_head(store, len(there) + 1 + appended)
    return appended / seconds


def counted_tasks(place: str, count: int, batch: int, events: int, observer: Observer) -> None:
    """So many events, from asyncio tasks that append `batch` at a time to orders of ten appends."""

    async def run() -> None:
        turns = iter(range(events // batch))

        async def client(number: int) -> None:
            for turn in itertools.count():
                if next(turns, None) is None:
                    return
                stream_id, version = f"order-{number}-{turn // 10}", turn % 10 * batch
                await store.aio.append(stream_id, order(stream_id, version, batch), version)

        await asyncio.gather(*(client(number) for number in range(count)))

    with open_store(place, create=True, observer=observer) as store:
        asyncio.run(run())


def python_events(folder: Path, appends: int, batch: int) -> float:
    """Events/s of one client that appends ready Event objects, `batch` to a stream."""
    ready = [order(f"bulk-{number}", 0, batch) for number in range(appends)]
    with open_store(str(folder / "ours"), create=True) as store:
        began = time.perf_counter()
        for number, events in enumerate(ready):
            store.append(f"bulk-{number}", events, 0)
        spent = time.perf_counter() - began
        check_head(store, appends * batch)
    return appends * batch / spent


def bulk(folder: Path, events: pa.Table) -> float:
    """Events/s of one append_table."""
    with open_store(str(folder / "ours"), create=True) as store:
        began = time.perf_counter()
        store.append_table(events)
        spent = time.perf_counter() - began
        check_head(store, len(events))
    return len(events) / spent


def check_head(store: EventStore, acknowledged: int) -> None:
    """A rate counts only if all its events are there, and no others."""
    if store.head() != acknowledged:
        raise AssertionError(f"{acknowledged} events were acknowledged, {store.head()} are there")
