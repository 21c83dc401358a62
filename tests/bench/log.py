"""The big log itself: how fast it is made, how many files and bytes it is."""

from __future__ import annotations

from store import open_store
from tests.bench import upkeep
from tests.bench.run import Run
from tests.bench.table_files import LiveFiles, live_files, on_disk
from tests.bench.workload import history


def section(run: Run) -> None:
    big = run.big_log()
    live, there = live_files(big.place), on_disk(big.place)
    if live.rows != big.events:
        raise AssertionError(f"{big.events} events were appended, {live.rows} are there")
    run.table(f"a log of {big.events:,} events, {big.orders:,} streams of ten and one of {big.long_stream:,}", "")
    run.rows(
        [
            ("append_table, 1,000,000 rows at a time", f"{big.events / big.append_s:,.0f} events/s"),
            ("compaction and checkpoint afterwards", f"{big.compact_s:.1f} s"),
            ("live files", f"{len(live.paths):,}"),
            ("inodes", f"{there.inodes:,}"),
            ("last checkpoint", f"{there.checkpoint_bytes / 1024:,.0f} KiB"),
        ]
    )
    with_ids = _with_ids(run)
    run.table("after compaction", "events", "bytes/event")
    run.row("without correlation and causation ids", f"{live.rows:,}", f"{live.size_bytes / live.rows:.1f}")
    run.row("with both (UUIDs, one correlation id an order)", f"{with_ids.rows:,}", f"{with_ids.size_bytes / with_ids.rows:.1f}")


def _with_ids(run: Run) -> LiveFiles:
    place = run.folder() / "ids"
    with open_store(str(place), create=True) as store:
        store.append_table(history(0, run.sizes.small_events, run.sizes.names, ids=True))
        upkeep.compact(store)
    return live_files(place)
