"""What proof costs: the digests of a bulk append, attesting a log, and checking it, beside reading it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from store import open_store, verify
from tests.bench.run import Run
from tests.bench.workload import single_orders


def section(run: Run) -> None:
    place, rows = run.folder() / "log", run.sizes.small_events
    events = single_orders(0, rows, "ordered")
    with open_store(str(place), create=True) as store:
        append_s = _seconds(lambda: store.append_table(events))
    body_s = _hashed(place)
    run.table(f"a log of {rows:,} events", "seconds", "events/s")
    with open_store(str(place)) as store:
        read_s = run.median(lambda: sum(len(batch) for batch in store.read_all()))
        attest_s = _seconds(lambda: store.audit.attest(by="bench", why="to measure it"))
        check_s = run.median(lambda: store.audit.check())
        again_s = run.median(lambda: store.audit.attest(by="bench", why="to measure it"))
    lines = {
        "append as one table": append_s,
        "of it the SHA-256 of its files, on one core": body_s,
        "read_all, the floor": read_s,
        "attest": attest_s,
        "attest again, with nothing new": again_s,
        "check": check_s,
        "verify": run.median(lambda: verify(str(place))),
    }
    for what, spent in lines.items():
        run.row(what, f"{spent:,.3f}", f"{rows / spent:,.0f}")


def _hashed(place: Path) -> float:
    bodies = [path.read_bytes() for path in (place / "events").rglob("*.parquet")]
    return _seconds(lambda: [hashlib.sha256(body).digest() for body in bodies])


def _seconds(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began
