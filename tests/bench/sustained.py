"""A steady load for minutes, with upkeep running: does anything grow that should stay level?"""

from __future__ import annotations

import asyncio
import itertools
import queue
import statistics
import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from store import open_store
from store.observer import Committed, Failed, Measurement
from tests.bench import upkeep
from tests.bench.appends import check_head
from tests.bench.children import SPAWN, Child
from tests.bench.memory import resident_mb
from tests.bench.run import Run, ms, percentile
from tests.bench.table_files import live_files, on_disk
from tests.bench.workload import order

LEVEL: Final = 1.5
"""The last quarter may have this many times what the first one had, and count as level."""
SILENT_S: Final = 120.0
"""Writers that say nothing for so much longer than a sample are given up."""


class Sample(NamedTuple):
    """What one writer did between two looks. `late_s`: how far the newest append is behind its schedule."""

    events: int
    spent_s: float
    commits_s: list[float]
    appends_s: list[float]
    late_s: float
    resident_mb: float
    failures: list[str]


class Look(NamedTuple):
    """All writers and the disk at one time, `at_s` after the start by the schedule."""

    at_s: float
    events_s: float
    commit_p50_s: float
    commit_p99_s: float
    append_p99_s: float
    late_s: float
    live_files: int
    small_files: int
    inodes: int
    log_files: int
    checkpoint_bytes: int
    resident_mb: float


def section(run: Run) -> None:
    sizes, place = run.sizes, run.folder() / "ours"
    open_store(str(place), create=True).close()
    offer = f"{sizes.rate:,} events/s offered for {sizes.minutes:g} minutes"
    print(f"\n{offer} by {sizes.clients} asyncio tasks in {sizes.processes} process(es); {upkeep.KEPT}.")
    run.table(
        "after, s", "events/s", "commit p50 ms", "p99", "append p99 ms", "behind, s", "live files", "small ones", "inodes", "log files",
        "checkpoint KiB", "writers MB",
    )  # fmt: skip
    looks, failures = list[Look](), set[str]()
    for look, failed in sustain(place, sizes.rate, sizes.clients, sizes.processes, sizes.minutes * 60, sizes.sample_s):
        looks.append(look)
        failures |= set(failed)
        run.row(
            f"{look.at_s:g}", f"{look.events_s:,.0f}", ms(look.commit_p50_s), ms(look.commit_p99_s), ms(look.append_p99_s), f"{look.late_s:.2f}",
            f"{look.live_files:,}", f"{look.small_files:,}", f"{look.inodes:,}", f"{look.log_files:,}",
            f"{look.checkpoint_bytes / 1024:,.0f}", f"{look.resident_mb:,.0f}",
        )  # fmt: skip
    print(f"\n{verdict(looks, sizes.rate)}")
    for failure in sorted(failures):
        print(f"\nUpkeep failed: {failure}")


def sustain(place: Path, rate: int, clients: int, processes: int, seconds: float, sample_s: float) -> Generator[tuple[Look, list[str]], None, None]:
    """A look every `sample_s`. The disk is counted by a process that appends nothing; upkeep is the writers' own."""
    samples = SPAWN.Queue()
    share = clients // processes
    writers = [Child(offered, str(place), number, share, rate / processes, seconds, sample_s, samples) for number in range(processes)]
    for child in writers:
        child.ready()
    for child in writers:
        child.go()
    for number in range(1, max(1, round(seconds / sample_s)) + 1):
        told = [_next(samples, sample_s) for _ in writers]
        yield _look(number * sample_s, told, place), [failure for sample in told for failure in sample.failures]
    appended = sum(writer.result() for writer in writers)
    with open_store(str(place)) as store:
        check_head(store, appended)


def _next(samples: Any, sample_s: float) -> Sample:
    try:
        sample: Sample = samples.get(timeout=sample_s + SILENT_S)
        return sample
    except queue.Empty:
        raise RuntimeError(f"a writer has said nothing for {sample_s + SILENT_S:.0f} s") from None


def _look(at_s: float, told: Sequence[Sample], place: Path) -> Look:
    live, disk = live_files(place), on_disk(place)
    commits = [spent for sample in told for spent in sample.commits_s]
    appends = [spent for sample in told for spent in sample.appends_s]
    return Look(
        at_s, sum(sample.events / sample.spent_s for sample in told), percentile(commits, 0.5), percentile(commits, 0.99), percentile(appends, 0.99),
        max(sample.late_s for sample in told), len(live.paths), live.small, disk.inodes, disk.log_files, disk.checkpoint_bytes,
        sum(sample.resident_mb for sample in told),
    )  # fmt: skip


def verdict(looks: Sequence[Look], rate: int) -> str:
    """What the last quarter has over the first one, and whether the rate was held."""
    quarter = max(1, len(looks) // 4)
    first, last = looks[:quarter], looks[-quarter:]
    held = statistics.mean(look.events_s for look in looks) / rate
    grown = {
        what: _mean(last, name) / max(_mean(first, name), 1e-9)
        for what, name in (
            ("commit p50", "commit_p50_s"), ("commit p99", "commit_p99_s"), ("live files", "live_files"), ("inodes", "inodes"),
            ("checkpoint", "checkpoint_bytes"), ("memory", "resident_mb"),
        )
        if _mean(first, name) or _mean(last, name)
    }  # fmt: skip
    told = ", ".join(f"{what} {ratio:.2f}{'' if ratio <= LEVEL else ' (grows)'}" for what, ratio in grown.items())
    return f"**Rate held: {held:.0%} of {rate:,} events/s. Last quarter against the first: {told}.**"


def _mean(looks: Sequence[Look], name: str) -> float:
    return statistics.mean(float(getattr(look, name)) for look in looks)


# In the writers' processes ------------------------------------------------------------------------------------


class Watch:
    """An observer that keeps what happened since it was last asked. `waited_s` is a commit's time with its time in line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commits_s: list[float] = []
        self._failures: list[str] = []

    def record(self, measurement: Measurement) -> None:
        with self._lock:
            match measurement:
                case Committed():
                    self._commits_s.append(measurement.waited_s)
                case Failed():
                    self._failures.append(f"{measurement.work}: {measurement.error}")

    def taken(self) -> tuple[list[float], list[str]]:
        with self._lock:
            taken = self._commits_s, self._failures
            self._commits_s, self._failures = [], []
            return taken


def offered(place: str, number: int, clients: int, rate: float, seconds: float, sample_s: float, samples: Any) -> Generator[None, None, int]:
    """Appends on a schedule that does not wait for the store: who falls behind has to catch up. The count of events at the end."""
    watch = Watch()
    upkeep.keep_little()
    with open_store(place, observer=watch) as store:
        yield
        load = Load(store, watch, number, clients, rate, seconds)
        asyncio.run(load.run(sample_s, samples))
        return load.appended


class Load:
    """Tasks that share one schedule: event n of task k is due (n × tasks + k) / rate after the start."""

    def __init__(self, store: Any, watch: Watch, number: int, clients: int, rate: float, seconds: float) -> None:
        self._store, self._watch = store, watch
        self._number, self._clients, self._rate, self._seconds = number, clients, rate, seconds
        self._appends_s: list[float] = []
        self._late_s = 0.0
        self._began = time.monotonic()
        self.appended = 0

    async def run(self, sample_s: float, samples: Any) -> None:
        self._began = time.monotonic()
        sampler = asyncio.create_task(self._sample(sample_s, samples))
        clients = [asyncio.create_task(self._client(task)) for task in range(self._clients)]
        await asyncio.gather(sampler, *clients)

    async def _client(self, task: int) -> None:
        for turn in itertools.count():
            due_s = (turn * self._clients + task) / self._rate
            if due_s >= self._seconds:
                return
            if (early_s := self._began + due_s - time.monotonic()) > 0:
                await asyncio.sleep(early_s)
            stream_id, before = f"order-{self._number}-{task}-{turn // 10}", time.monotonic()
            if before - self._began > self._seconds:   # whatever is not sent by then was not borne
                return
            await self._store.aio.append(stream_id, order(stream_id, turn % 10, 1), turn % 10)
            now = time.monotonic()
            self._appends_s.append(now - before)
            self._late_s = before - self._began - due_s
            self.appended += 1

    async def _sample(self, sample_s: float, samples: Any) -> None:
        seen, looked = 0, self._began
        for look in range(1, max(1, round(self._seconds / sample_s)) + 1):
            await asyncio.sleep(max(0.0, self._began + look * sample_s - time.monotonic()))
            now, appended, appends_s = time.monotonic(), self.appended, self._appends_s
            self._appends_s = []
            commits_s, failures = self._watch.taken()
            samples.put(Sample(appended - seen, now - looked, commits_s, appends_s, max(0.0, self._late_s), resident_mb(), failures))
            seen, looked = appended, now
