"""A warehouse of several logs: what writers on many machines gain, and what reading them as one costs."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pyarrow as pa

from store import Logs, open_logs, open_store, table_parts
from store.observer import Observer
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.bench.appends import check_head
from tests.bench.buckets import Commits
from tests.bench.run import Run, ms, percentile
from tests.bench.workload import history, order
from tests.store.delta.faults import DistantObjects

LOGS: Final = (1, 4, 16)
MACHINES: Final = (1, 4, 8)
TASKS: Final = 64
"""Clients of each machine."""
REQUEST_S: Final = 0.05
_REPORT: Final = "select type, count(*), sum(strlen(data)) from events group by type"
_ORDERED: Final = "select max(position - version) from events"


def section(run: Run) -> None:
    numbers = ("machines", "logs", "events/s", "events a commit", "tries a commit", "p50, ms", "p99, ms", "longest, ms", "busiest / slowest")
    run.table(f"{TASKS} asyncio tasks a machine, {REQUEST_S * 1000:.0f} ms a request and nothing else", *numbers)
    for machines, logs in itertools.product([count for count in MACHINES if count <= run.sizes.writers], LOGS):
        run.row("any stream", str(machines), str(logs), *_raced(run.folder(), logs, machines, 2 * run.sizes.seconds, own=False))
        if 1 < machines <= logs:
            run.row("streams of its own logs", str(machines), str(logs), *_raced(run.folder(), logs, machines, 2 * run.sizes.seconds, own=True))
    events = history(1, run.sizes.small_events)
    reads = ("read_all, events/s", "head, ms", "place of a position, ms", "report, ms", "report with positions, ms")
    run.table(f"{len(events):,} events in a directory, read as one", *reads)
    for logs in LOGS:
        run.row(f"{logs} logs", *_read(run, events, run.folder(), logs))


class Machine:
    """One process's worth of clients, far from the storage by the protocol alone: what their appends took, after a time to find their turns."""

    def __init__(self, warehouse: Path, number: int) -> None:
        self.name, self.appended, self.latencies_s, self.seen = f"m{number}", 0, list[float](), Commits()

        def distant(uri: str, observer: Observer | None = None) -> DistantObjects:
            return DistantObjects(LocalObjects(Path(uri)), self.name, REQUEST_S)

        with patch("store.logs.logs.objects_at", distant):
            self.store = Logs(str(warehouse), self.seen, now)

    def work(self, seconds: float, logs: Collection[str]) -> None:
        """`logs`: whose streams it appends to."""
        began = time.perf_counter()

        def stream_of(task: int, number: int) -> str:
            names = (f"order-{self.name}-{task}-{number}-{tail}" for tail in itertools.count())
            return next(name for name in names if self.store.log_of(name) in logs)

        async def client(task: int) -> None:
            for turn in itertools.count():
                start = time.perf_counter()
                if start > began + 2 * seconds:
                    return
                stream_id = stream_of(task, turn // 10)
                await self.store.aio.append(stream_id, order(stream_id, turn % 10, 1), turn % 10)
                self.appended += 1
                if start > began + seconds:
                    self.latencies_s.append(time.perf_counter() - start)

        async def everyone() -> None:
            await asyncio.gather(*map(client, range(TASKS)))

        asyncio.run(everyone())


def _raced(warehouse: Path, logs: int, machines: int, seconds: float, own: bool) -> list[str]:
    """No event is lost or doubled, or the measurement fails."""
    with _begin(str(warehouse), logs) as store:
        at_work, names = [Machine(warehouse, number) for number in range(machines)], store.logs()
        _together([partial(machine.work, seconds, names[number::machines] if own else names) for number, machine in enumerate(at_work)])
        for machine in at_work:
            machine.store.close()
        check_head(store, events := sum(machine.appended for machine in at_work))
    counts, latencies = [len(machine.latencies_s) for machine in at_work], sorted(one for machine in at_work for one in machine.latencies_s)
    commits, tries = sum(machine.seen.commits for machine in at_work), sum(machine.seen.tries for machine in at_work)
    waits = (ms(percentile(latencies, share)) for share in (0.5, 0.99, 1.0))
    rates = f"{sum(counts) / seconds:,.0f}", f"{events / commits:,.1f}", f"{tries / commits:.2f}"
    return [*rates, *waits, f"{max(counts) / max(1, min(counts)):.1f}"]


def _together(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _read(run: Run, events: pa.Table, folder: Path, logs: int) -> list[str]:
    with _begin(str(folder), logs) as store:
        for start in range(0, len(events), 100_000):
            for part in table_parts(store, events.slice(start, 100_000)):
                store.append_table(part)
        store.maintain()

    def looked_for() -> None:
        with open_logs(folder) as again:
            again.vector(len(events) // 2)

    with open_store(folder) as store:
        read_s = run.median(lambda: sum(map(len, store.read_all())))
        head_s, report_s = run.median(store.head), run.median(lambda: store.sql(_REPORT).fetchall())
        ordered_s = run.median(lambda: store.sql(_ORDERED).fetchall())
    began = time.perf_counter()
    open_logs(folder).close()
    opened_s = time.perf_counter() - began
    place_s = max(0.0, run.median(looked_for) - opened_s)
    return [f"{len(events) / read_s:,.0f}", *(f"{1000 * seconds:,.1f}" for seconds in (head_s, place_s, report_s, ordered_s))]


def _begin(warehouse: str, logs: int) -> Logs:
    store = open_logs(warehouse, create=True)
    if logs > 1:
        store.split("h", logs)
    return store
