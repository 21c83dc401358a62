"""What an erasure costs: seconds, bytes written anew, and what it costs those who append meanwhile, beside appends alone."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from store import Erasure, Event, open_store
from tests.bench import upkeep
from tests.bench.run import Run, ms, percentile
from tests.bench.workload import history, order_name

WHO: Final = {"by": "bench", "why": "measured"}
CHUNK: Final = 1_000_000


class Erased(NamedTuple):
    """What one erasure took, and the appends of one event of one client beside it: how many a second, and how long the slowest 1 % took."""

    events: int
    seconds: float
    files: int
    live_files: int
    bytes_after: int
    live_bytes: int
    appends_s: float
    append_p99_s: float


def section(run: Run) -> None:
    events, orders = run.sizes.small_events, run.sizes.small_events // 10
    source = built(run.folder(), events)
    alone = appending(copied(source, run.folder()), 1.0)
    run.table("erased", "events", "s", "files of all", "MB written of all", "appends/s beside", "p99 ms", "alone: appends/s", "p99 ms")
    picks: tuple[tuple[str, Erasure], ...] = (
        ("one stream", Erasure(streams=[order_name(orders // 2)])),
        ("a hundred streams", Erasure(streams=[order_name(number) for number in range(0, orders, max(1, orders // 100))])),
        ("a tenth of the streams", Erasure(streams=[order_name(number) for number in range(0, orders, 10)])),
        ("one customer, by a field of the data", Erasure(where_field=("customer_id", "cust-000007"))),
        ("a part of the data of a tenth", Erasure(streams=[order_name(number) for number in range(0, orders, 10)], fields={"customer_id": None})),
    )
    for what, erasure in picks:
        rounds = [erased(copied(source, run.folder()), erasure) for _ in range(run.sizes.repeats)]
        done = sorted(rounds, key=lambda one: one.seconds)[len(rounds) // 2]
        run.row(
            what, f"{done.events:,}", f"{done.seconds:.2f}", f"{done.files:,} of {done.live_files:,}",
            f"{done.bytes_after / 1e6:,.1f} of {done.live_bytes / 1e6:,.1f}", f"{done.appends_s:,.0f}", ms(done.append_p99_s),
            f"{alone[0]:,.0f}", ms(alone[1]),
        )  # fmt: skip


def built(folder: Path, events: int) -> Path:
    with open_store(str(folder / "log"), create=True) as store:
        for first in range(0, events, CHUNK):
            store.append_table(history(first, min(CHUNK, events - first)))
        upkeep.compact(store)
        store.vacuum(0)
    return folder / "log"


def copied(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder / "log"))


def erased(place: Path, erasure: Erasure) -> Erased:
    """While one client appends, by another handle."""
    stop, took = threading.Event(), list[float]()
    with open_store(str(place)) as store, open_store(str(place)) as other:
        live = store.size()
        client = threading.Thread(target=_append, args=(other, stop, took))
        client.start()
        began = time.perf_counter()
        report = store.erase(erasure, **WHO)
        seconds = time.perf_counter() - began
        stop.set()
        client.join()
    [log] = report.logs
    return Erased(
        report.events, log.seconds, log.files_before, live.files, log.bytes_after, live.data_bytes, len(took) / seconds, percentile(took, 0.99)
    )


def appending(place: Path, seconds: float) -> Sequence[float]:
    """(appends a second, the slowest 1 %) without an erasure."""
    stop, took = threading.Event(), list[float]()
    with open_store(str(place)) as store:
        client = threading.Thread(target=_append, args=(store, stop, took))
        client.start()
        time.sleep(seconds)
        stop.set()
        client.join()
    return len(took) / seconds, percentile(took, 0.99)


def _append(store: object, stop: threading.Event, took: list[float]) -> None:
    number = 0
    with suppress(KeyboardInterrupt):
        while not stop.is_set():
            began = time.perf_counter()
            store.append(f"beside-{number % 100}", [Event("Beside", {"number": number})])  # type: ignore[attr-defined]
            took.append(time.perf_counter() - began)
            number += 1
