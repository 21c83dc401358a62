"""How often an event is written: by its commit, by compaction, and with everything around it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import NamedTuple

from store import open_store
from store.observer import Committed, Compacted, Measurement
from tests.bench import upkeep
from tests.bench.appends import counted_tasks
from tests.bench.memory import written_bytes
from tests.bench.run import Run
from tests.bench.table_files import live_files


class Tally:
    """An observer that adds up what commits and merges wrote."""

    def __init__(self) -> None:
        self._lock = threading.Lock()              # the committer's thread and the upkeep's both tell
        self.commits = self.events = self.landed_bytes = self.merges = self.merged_rows = self.merged_bytes = 0

    def record(self, measurement: Measurement) -> None:
        with self._lock:
            match measurement:
                case Committed():
                    self.commits += 1
                    self.events += measurement.events
                    self.landed_bytes += measurement.data_bytes
                case Compacted():
                    self.merges += 1
                    self.merged_rows += measurement.events
                    self.merged_bytes += measurement.data_bytes


class Written(NamedTuple):
    """Per event, but for `commits`. `disk_bytes`: all that the process wrote, log and checkpoints with it, until the last merge."""

    commits: int
    landed_bytes: float
    merged_rows: float
    merged_bytes: float
    disk_bytes: float
    live_bytes: float
    live_files: int


def section(run: Run) -> None:
    shapes = (("1 client, 1 event", 1, 1, 1), ("32 asyncio tasks, 1 event", 32, 1, 10), ("8 asyncio tasks, 100 events", 8, 100, 50))
    run.table(
        "written by a writer and its upkeep", "events", "commits", "landing bytes/event", "rows merged/event", "merged bytes/event",
        "all bytes to disk/event", "live bytes/event", "live files",
    )  # fmt: skip
    for what, clients, batch, factor in shapes:
        events = run.sizes.commits * factor
        w = written(run.folder(), clients, batch, events)
        run.row(
            what, f"{events:,}", f"{w.commits:,}", f"{w.landed_bytes:,.0f}", f"{w.merged_rows:.2f}", f"{w.merged_bytes:,.0f}",
            f"{w.disk_bytes:,.0f}", f"{w.live_bytes:,.0f}", f"{w.live_files:,}",
        )  # fmt: skip


def written(folder: Path, clients: int, batch: int, events: int) -> Written:
    """Appends so many events; merges are those that the writer made by itself, and one last full one."""
    tally, place, before = Tally(), folder / "ours", written_bytes()
    counted_tasks(str(place), clients, batch, events, tally)
    with open_store(str(place), observer=tally) as store:
        upkeep.compact(store)
    if tally.events != events:
        raise AssertionError(f"{events} events were appended, {tally.events} were measured")
    live, disk = live_files(place), written_bytes() - before
    return Written(
        tally.commits, tally.landed_bytes / events, tally.merged_rows / events, tally.merged_bytes / events,
        disk / events, live.size_bytes / events, len(live.paths),
    )  # fmt: skip
