"""Several processes on one log: throughput, fairness, and a large append among small ones."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Generator
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Final

import pyarrow as pa

from store import EventStore, WrongExpectedVersionError, open_store
from tests.bench.appends import check_head
from tests.bench.children import SPAWN, Child, together
from tests.bench.run import Run
from tests.bench.workload import history, order

SHARED: Final = tuple(f"order-shared-{number}" for number in range(5))
TASKS: Final = 32


def section(run: Run) -> None:
    run.table("processes on one log", "processes", "events/s", "of one process", "busiest / slowest", "conflicts per success")
    shapes = {"own streams, 1 client each": own, f"own streams, {TASKS} asyncio tasks each": many, "5 shared streams, 1 client each": shared}
    for what, work in shapes.items():
        single = 0.0
        for processes in _doubling(run.sizes.writers):
            counts = race(run.folder() / "ours", work, processes, run.sizes.seconds)
            won, lost = [w for w, _ in counts], sum(lost for _, lost in counts)
            rate = sum(won) / run.sizes.seconds
            single = single or rate
            run.row(
                what, str(processes), f"{rate:,.0f}", f"{rate / single:.2f}", f"{max(won) / max(1, min(won)):.1f}", f"{lost / max(1, sum(won)):.2f}"
            )
    _large(run)


def _large(run: Run) -> None:
    """Law 10: the large append commits within five times its time alone."""
    table = history(0, run.sizes.small_events)
    rounds = [
        (large(run.folder() / "ours", table, 0)[0], large(run.folder() / "ours", table, run.sizes.writers)) for _ in range(run.sizes.repeats)
    ]
    alone_s = statistics.median(alone for alone, _ in rounds)
    beside_s = statistics.median(spent for _, (spent, _) in rounds)
    slowest = min(rate for _, (_, rates) in rounds for rate in rates) if run.sizes.writers else 0.0
    run.table(f"one append of {len(table):,} rows", "alone, s", f"beside {run.sizes.writers} busy writers, s", "ratio", "slowest of them, events/s")
    run.row("1 client each", f"{alone_s:.2f}", f"{beside_s:.2f}", f"{beside_s / alone_s:.2f}", f"{slowest:,.1f}")


Counts = tuple[int, int]
"""Appends that were written, and refusals."""
Work = Callable[[str, int, float], Generator[None, None, Counts]]


def race(place: Path, work: Work, processes: int, seconds: float) -> list[Counts]:
    """Each process's counts. No event is lost or doubled, or the measurement fails."""
    with open_store(str(place), create=True) as store:
        counts = together(work, [(str(place), number, seconds) for number in range(processes)])
        check_head(store, sum(won for won, _ in counts))
    return counts


def own(place: str, number: int, seconds: float) -> Generator[None, None, Counts]:
    """One event at a time to orders of its own."""
    with open_store(place) as store:
        yield
        end = time.perf_counter() + seconds
        return _append_until(store, number, lambda: time.perf_counter() > end), 0


def many(place: str, number: int, seconds: float) -> Generator[None, None, Counts]:
    """The same from asyncio tasks."""
    appended = 0

    async def client(task: int, end: float) -> None:
        nonlocal appended
        for turn in itertools.count():
            if time.perf_counter() > end:
                return
            stream_id = f"order-{number}-{task}-{turn // 10}"
            await store.aio.append(stream_id, order(stream_id, turn % 10, 1), turn % 10)
            appended += 1

    async def everyone() -> None:
        end = time.perf_counter() + seconds
        await asyncio.gather(*(client(task, end) for task in range(TASKS)))

    with open_store(place) as store:
        yield
        asyncio.run(everyone())
        return appended, 0


def shared(place: str, number: int, seconds: float) -> Generator[None, None, Counts]:
    """One event at a time to streams that all append to, at the version last seen; a refusal tells the version for the next try."""
    won = lost = 0
    versions = dict.fromkeys(SHARED, 0)
    with open_store(place) as store:
        yield
        end = time.perf_counter() + seconds
        for turn in itertools.count():
            if time.perf_counter() > end:
                return won, lost
            stream_id, appended = SHARED[turn % len(SHARED)], False
            while not appended:
                version = versions[stream_id]
                try:
                    versions[stream_id] = store.append(stream_id, order(stream_id, version, 1), version).version
                    appended = True
                except WrongExpectedVersionError as refused:
                    versions[stream_id] = refused.actual
                    lost += 1
            won += 1
    raise AssertionError("unreachable")


def large(place: Path, table: pa.Table, busy_writers: int) -> tuple[float, list[float]]:
    """Seconds of one append_table beside so many busy processes, and what each of them appended a second meanwhile."""
    stop = SPAWN.Event()
    with open_store(str(place), create=True) as store:
        writers = [Child(busy, str(place), number, stop) for number in range(busy_writers)]
        for writer in writers:
            writer.ready()
        for writer in writers:
            writer.go()
        began = time.perf_counter()
        store.append_table(table)
        spent = time.perf_counter() - began
        stop.set()
        counts = [writer.result() for writer in writers]
        check_head(store, len(table) + sum(counts))
    return spent, [count / spent for count in counts]


def busy(place: str, number: int, stop: Flag) -> Generator[None, None, int]:
    with open_store(place) as store:
        yield
        return _append_until(store, number, stop.is_set)


def _append_until(store: EventStore, number: int, done: Callable[[], bool]) -> int:
    for turn in itertools.count():
        if done():
            return turn
        stream_id = f"order-{number}-{turn // 10}"
        store.append(stream_id, order(stream_id, turn % 10, 1), turn % 10)
    raise AssertionError("unreachable")


def _doubling(most: int) -> list[int]:
    return [count for count in (1, 2, 4, 8, 16, 32) if count <= most]
