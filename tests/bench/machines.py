"""Writers of several machines on one log, by the protocol alone: each request takes a fixed time, and nothing else takes any to speak of."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from store import Append, Event, open_store
from store.delta.delta_store import DeltaEventStore
from store.observer import Committed, Measurement
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.bench.appends import check_head
from tests.bench.run import Run
from tests.bench.workload import history
from tests.store.delta.faults import DistantObjects

REQUEST_S: Final = 0.05
MACHINES: Final = (1, 2, 4, 8)
PARTS: Final = 8
"""Streams of each append; as many clients as wait at a machine share its commit in any case."""
LARGE: Final = 30_000


class Counting(DistantObjects):
    """Counts what a machine asks."""

    def __init__(self, events: Path, machine: str) -> None:
        super().__init__(LocalObjects(events), machine, REQUEST_S)
        self.asked: Counter[str] = Counter()

    def put(self, path: str, data: bytes) -> None:
        self.asked["write"] += 1
        super().put(path, data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        self.asked["write"] += 1
        return super().put_if_absent(path, data)

    def get(self, path: str) -> bytes | None:
        self.asked["read"] += 1
        return super().get(path)

    def get_run(self, paths: Sequence[str]) -> Sequence[bytes]:
        self.asked["read"] += len(paths)
        return super().get_run(paths)


class Machine:
    """A writer that appends without a pause, and what its commits took."""

    def __init__(self, warehouse: Path, number: int) -> None:
        self.name, self.commits, self.tries, self.longest_s = f"machine-{number}", 0, 0, 0.0
        self.appended = 0
        self.objects = Counting(warehouse / "events", self.name)
        self.store = DeltaEventStore(self.objects, self, now)  # type: ignore[arg-type]

    def record(self, measurement: Measurement) -> None:
        if isinstance(measurement, Committed):
            self.commits, self.tries = self.commits + 1, self.tries + measurement.attempts
            self.longest_s = max(self.longest_s, measurement.waited_s)

    def work(self, stop: threading.Event) -> None:
        for turn in itertools.count():
            if stop.is_set():
                return
            self.store.append_many([Append(f"{self.name}-{turn}-{part}", [Event("Happened", {})]) for part in range(PARTS)])
            self.appended += 1

    def forget(self) -> None:
        self.commits, self.tries, self.longest_s = 0, 0, 0.0
        self.objects.asked.clear()


class Busy:
    """Machines at work while the block runs, their first turns behind them."""

    def __init__(self, warehouse: Path, count: int) -> None:
        self.machines = [Machine(warehouse, number) for number in range(count)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=machine.work, args=(self._stop,)) for machine in self.machines]

    def __enter__(self) -> Busy:
        for thread in self._threads:
            thread.start()
        while min((machine.commits for machine in self.machines), default=3) < 3:
            time.sleep(REQUEST_S)
        for machine in self.machines:
            machine.forget()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for machine in self.machines:
            machine.store.close()


class Turns(NamedTuple):
    """All machines' commits in a stretch of time, as shares and counts that a slow processor changes little."""

    commits: list[int]
    tries: int
    longest_s: float
    asked: Counter[str]
    seconds: float


def section(run: Run) -> None:
    names = (
        "machines", "commits in the time of two requests", "busiest / slowest", "tries a commit", "longest wait, requests", "writes a commit",
        "reads a commit",
    )  # fmt: skip
    run.table(f"busy machines, {REQUEST_S * 1000:.0f} ms a request", *names)
    for count in [count for count in MACHINES if count <= run.sizes.writers]:
        turns = taken(run.folder(), count, max(run.sizes.seconds * count, 20 * REQUEST_S * count))
        commits = sum(turns.commits)
        run.row(
            "own streams, one commit after the other", str(count), f"{commits * 2 * REQUEST_S / turns.seconds:.2f}",
            f"{max(turns.commits) / max(1, min(turns.commits)):.1f}", f"{turns.tries / commits:.2f}", f"{turns.longest_s / REQUEST_S:.0f}",
            f"{turns.asked['write'] / commits:.1f}", f"{turns.asked['read'] / commits:.1f}",
        )  # fmt: skip
    run.table("one append beside busy machines", "busy machines", "alone, s", "beside them, s", "tries", "their commits meanwhile")
    for what, rows in (("one event, after a pause", 1), (f"one table of {LARGE:,} rows", LARGE)):
        for count in [count for count in (1, 8) if count <= run.sizes.writers]:
            run.row(what, str(count), *beside(run.folder(), count, rows))


def taken(warehouse: Path, count: int, seconds: float) -> Turns:
    """No event is lost or doubled, or the measurement fails."""
    with open_store(str(warehouse), create=True) as store:
        with Busy(warehouse, count) as busy:
            began = time.perf_counter()
            time.sleep(seconds)
            spent = time.perf_counter() - began
            commits = [machine.commits for machine in busy.machines]
            asked = sum((machine.objects.asked for machine in busy.machines), Counter[str]())
            turns = Turns(commits, sum(m.tries for m in busy.machines), max(m.longest_s for m in busy.machines), asked, spent)
        check_head(store, PARTS * sum(machine.appended for machine in busy.machines))
    return turns


def beside(warehouse: Path, count: int, rows: int) -> list[str]:
    """One append, alone and then while so many machines are busy."""
    open_store(str(warehouse), create=True).close()
    one, table = Machine(warehouse, count), history(0, rows)
    alone_s = _timed(one, table)
    with Busy(warehouse, count) as busy:
        before, tries = sum(machine.commits for machine in busy.machines), one.tries
        beside_s = _timed(one, table)
        meanwhile = sum(machine.commits for machine in busy.machines) - before
    one.store.close()
    return [f"{alone_s:.2f}", f"{beside_s:.2f}", str(one.tries - tries), str(meanwhile)]


def _timed(machine: Machine, table: Any) -> float:
    began = time.perf_counter()
    if len(table) == 1:
        machine.store.append("rare", [Event("Happened", {})])
    else:
        machine.store.append_table(table)
    return time.perf_counter() - began
