"""A warehouse of several logs: what writers on many machines gain, and what reading them as one costs."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Final

import pyarrow as pa

from store import Logs, open_logs, open_store, table_parts
from tests.bench.buckets import NUMBERS, after, bucket, race, told
from tests.bench.run import Run
from tests.bench.workload import history

LOGS: Final = (1, 4, 16)
MACHINES: Final = (1, 4, 8)
LATENCY_MS: Final = 50
_REPORT: Final = "select type, count(*), sum(strlen(data)) from events group by type"
_ORDERED: Final = "select max(position - version) from events"


def section(run: Run) -> None:
    run.table(f"64 asyncio tasks a machine, on S3 with {LATENCY_MS} ms a request", "logs", *NUMBERS)
    with bucket() as (proxy, place):
        proxy.always = after(LATENCY_MS / 1000)
        for machines in [count for count in MACHINES if count <= run.sizes.writers]:
            for logs in LOGS:
                warehouse = f"{place}/{uuid.uuid4().hex}"
                proxy.always = None
                _begin(warehouse, logs).close()
                proxy.always = after(LATENCY_MS / 1000)
                run.row(f"{machines} machines", str(logs), str(machines), "1", *told(race(proxy, warehouse, machines, 1, run.sizes.seconds)))
    events = history(1, run.sizes.small_events)
    reads = ("read_all, events/s", "head, ms", "place of a position, ms", "report, ms", "report with positions, ms")
    run.table(f"{len(events):,} events in a directory, read as one", *reads)
    for logs in LOGS:
        run.row(f"{logs} logs", *_read(run, events, run.folder(), logs))


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
