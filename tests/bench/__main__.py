"""`make bench`: every number beside its floor, measured in the same run, as a table for docs/performance.md."""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from store import open_store
from tests.bench import appends, floors, reads
from tests.bench.workload import history


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options.add_argument("--repeats", type=int, default=3, help="of which the median is told")
    options.add_argument("--events", type=int, default=1_000_000, help="in the log of the point reads and the bulk append")
    options.add_argument("--commits", type=int, default=10_000, help="after which the cost of a commit is told")
    options.add_argument("--folder", type=Path, default=None, help="on the disk to measure (a new folder in it is used, and removed at the end)")
    chosen = options.parse_args()
    root = Path(tempfile.mkdtemp(prefix="alluvium-bench-", dir=chosen.folder or Path.cwd()))
    try:
        Bench(root, chosen.seconds, chosen.repeats).run(chosen.events, chosen.commits)
    finally:
        # Only now: ext4 makes new files slowly for minutes after many were deleted, which would fall on who comes next.
        shutil.rmtree(root)


class Bench:
    """Runs each measurement and its floors in turn, `repeats` times, and prints medians."""

    def __init__(self, root: Path, seconds: float, repeats: int) -> None:
        self._root, self._seconds, self._repeats, self._used = root, seconds, repeats, 0

    def run(self, events: int, commits: int) -> None:
        seconds = self._seconds
        print("| work | events/s | raw append + fdatasync | of it | `write_deltalake` (no fsync) | of it |")
        print("|---|---:|---:|---:|---:|---:|")
        self._rate("1 client, 1 event", lambda f: appends.clients(f, 1, 1, seconds), lambda f: floors.raw_append(f, 1, seconds), 1)
        self._rate("32 threads, 1 event", lambda f: appends.clients(f, 32, 1, seconds), lambda f: floors.raw_threads(f, 32, seconds), None)
        self._rate("32 asyncio tasks, 1 event", lambda f: appends.tasks(f, 32, seconds), lambda f: floors.raw_tasks(f, 32, seconds), None)
        self._rate("256 asyncio tasks, 1 event", lambda f: appends.tasks(f, 256, seconds), lambda f: floors.raw_tasks(f, 256, seconds), None)
        self._rate("1 client, 100 events", lambda f: appends.clients(f, 1, 100, seconds), lambda f: floors.raw_append(f, 100, seconds), 100)
        self._rate("8 clients, 100 events", lambda f: appends.clients(f, 8, 100, seconds), lambda f: floors.raw_append(f, 800, seconds), 800)
        self._rate("Python events, 10,000 an append", lambda f: appends.python_events(f, 200_000, 10_000), None, 10_000)
        table = history(events)
        self._rate(f"one Arrow table of {events:,}", lambda f: appends.table(f, table), None, events)
        print("\n| read a 10-event stream among " + f"{events:,} | ms |\n|---|---:|")
        for what, spent in reads.point_reads(self._folder(), events).items():
            print(f"| {what} | {spent:.2f} |", flush=True)
        first, last = reads.commit_growth(self._folder(), commits)
        print(f"\n| one-event commit | ms |\n|---|---:|\n| first 100 | {first:.2f} |")
        print(f"| last 100 of {commits:,} | {last:.2f} ({last / first:.2f} ×) |")

    def _rate(self, work: str, ours: Callable[[Path], float], raw: Callable[[Path], float] | None, plain_rows: int | None) -> None:
        measures = [ours, raw or _absent, self._plain(plain_rows) if plain_rows else _absent]
        rounds = [[measure(self._folder()) for measure in measures] for _ in range(self._repeats)]
        rate, floor, plain = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"| {work} | {rate:,.0f} | {_beside(rate, floor)} | {_beside(rate, plain)} |", flush=True)

    def _plain(self, rows: int) -> Callable[[Path], float]:
        with open_store(str(self._folder() / "source"), create=True) as store:
            store.append_table(history(rows))
            events = store.read_all().read_all()
        return lambda folder: floors.plain_deltalake(folder, events, min(self._seconds, 1.0))

    def _folder(self) -> Path:
        self._used += 1
        folder = self._root / str(self._used)
        folder.mkdir()
        return folder


def _absent(folder: Path) -> float:
    return 0.0


def _beside(rate: float, floor: float) -> str:
    return f"{floor:,.0f} | {rate / floor:.2f}" if floor else "– | –"


if __name__ == "__main__":
    main()
