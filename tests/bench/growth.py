"""What a commit costs as commits pile up, with the disk's own drift beside it."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from store import open_store
from tests.bench.floors import EVENT
from tests.bench.run import Run, ms
from tests.bench.workload import order


def section(run: Run) -> None:
    first, last = commits(run.folder(), run.sizes.commits)
    run.table(f"ms, median of 100, {run.sizes.commits:,} commits", "first", "last", "last / first")
    for what, before, after in zip(("one-event commit", "raw append + fdatasync then"), first, last, strict=True):
        run.row(what, ms(before), ms(after), f"{after / before:.2f}")


def commits(folder: Path, count: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Median seconds of a one-event commit and of a raw append, over the first hundred (after a warm-up) and over the last."""
    spent = []
    with open_store(str(folder / "growth"), create=True) as store, open(folder / "raw.log", "wb", buffering=0) as raw:
        floor = []
        for number in range(count):
            stream_id = f"order-{number}"
            events = order(stream_id, 0, 1)
            began = time.perf_counter()
            store.append(stream_id, events, 0)
            spent.append(time.perf_counter() - began)
            if number == min(120, count // 2) or number == count - 1:
                floor.append(_raw(raw.fileno()))
    return (statistics.median(spent[20:120]), floor[0]), (statistics.median(spent[-100:]), floor[1])


def _raw(file: int) -> float:
    spent = []
    for _ in range(100):
        began = time.perf_counter()
        os.write(file, EVENT)
        os.fdatasync(file)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)
