"""What is left of erased events beside the log, and until when: snapshots, replaced files, read models, traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from store.erasing.erasable import Erases
from store.erasing.erasure_report import ErasureReport, Remnant
from store.rewrite import Rewritten
from store.snapshots.snapshots import forget_streams

OLD_FILES_S: Final = 3600.0
"""So long upkeep leaves files of the log that were replaced, for readers of an older state."""
OLD_SNAPSHOTS_S: Final = 600.0
READ_MODELS: Final = "read models and dead letters"
"""What a remnant of them is called that the store alone knows nothing of."""
BACKUPS: Final = "backups and copies"
"""What that of other places is called."""


def settled(store: Erases, streams: Mapping[str, int], done: Sequence[Rewritten], now: bool) -> tuple[list[str], list[Remnant]]:
    """What follows from it on this floor: snapshots are forgotten, old files are removed or listed."""
    if not streams and not now:
        return [], []
    forgotten = forget_streams(store.snapshots, streams)
    gone = [f"{forgotten:,} snapshots of these streams are forgotten"]
    if now:
        gone += store.purge()
    return gone, [] if store.warehouse is None else list(_left(store.warehouse, done, forgotten > 0 and not now, now))


def _left(place: str, done: Sequence[Rewritten], snapshots: bool, now: bool) -> Iterator[Remnant]:
    moments = [rewritten.replaced_ms for rewritten in done if rewritten.replaced_ms is not None]
    files = sum(len(rewritten.replaced) for rewritten in done)
    if moments and not now:
        erased_at = datetime.fromtimestamp(max(moments) / 1000, UTC)
        until, size_bytes = erased_at + timedelta(seconds=OLD_FILES_S), sum(rewritten.bytes_before for rewritten in done)
        yield Remnant("replaced files of the log", f"{files:,} below {place}/events, {size_bytes:,} bytes", until, "erase(now=True), or vacuum(0)")
    if snapshots:
        until = datetime.now(UTC) + timedelta(seconds=OLD_SNAPSHOTS_S)
        yield Remnant("replaced files of snapshots", f"{place}/snapshots", until, "erase(now=True), or snapshots.vacuum(0, 0)")
    yield Remnant(READ_MODELS, f"{place}/projections, {place}/dead_letters", None, "`erase_everywhere`, which knows the projections")


def searched(store: Erases, report: ErasureReport, values: Sequence[str]) -> ErasureReport:
    """In memory there is no file to search: that must not read as if there had been no trace."""
    if store.warehouse is not None:
        return report.searched(store.warehouse, values)
    return report.and_also(["no value was searched for: this store is in memory, and has no files"], []) if values else report
