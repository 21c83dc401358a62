"""What a commit costs as commits pile up, with the disk's own drift beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

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
    """Median seconds of a one-event commit and of a raw append beside it, over the first hundred (after a warm-up) and over the last."""
    first = range(min(20, count // 2), min(120, count // 2))
    last = range(max(first.stop, count - 100), count)
    commit_s, raw_s = list[float](), dict[int, float]()
    with open_store(str(folder / "growth"), create=True) as store, open(folder / "raw.log", "wb", buffering=0) as raw:
        for number in range(count):
            stream_id = f"order-{number}"
            events = order(stream_id, 0, 1)
            began = time.perf_counter()
            store.append(stream_id, events, 0)
            commit_s.append(time.perf_counter() - began)
            if number in first or number in last:
                raw_s[number] = _raw(raw.fileno())
    before, after = ((median(commit_s[n] for n in part), median(raw_s[n] for n in part)) for part in (first, last))
    return before, after


def _raw(file: int) -> float:
    began = time.perf_counter()
    os.write(file, EVENT)
    os.fdatasync(file)
    return time.perf_counter() - began
