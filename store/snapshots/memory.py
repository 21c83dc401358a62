"""The reference implementation: snapshots in one process's memory. Also the fake for tests."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pyarrow as pa

from store.observer import Compacted
from store.reading import check_many
from store.snapshots.snapshot import Snapshot, checked, snapshots_of, table_of


class MemorySnapshots:
    """One list for each aggregate and stream, newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], list[Snapshot]] = {}

    def newest(self, aggregate: str, stream_id: str, version: int | None = None, position: int | None = None) -> Sequence[Snapshot]:
        with self._lock:
            kept = self._kept.get((aggregate, stream_id), [])
        found = [s for s in kept if (version is None or s.version <= version) and (position is None or s.position <= position)]
        return found[: found[0].keep] if found else []

    def newest_many(self, aggregate: str, stream_ids: Sequence[str] | None = None, position: int | None = None) -> pa.Table:
        with self._lock:
            streams = {stream_id for owner, stream_id in self._kept if owner == aggregate}
        wanted = streams if stream_ids is None else streams & set(check_many("stream_ids", stream_ids))
        return table_of([s for stream_id in sorted(wanted) for s in self.newest(aggregate, stream_id, None, position)[:1]])

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        self.save_table(table_of(snapshots))

    def save_table(self, snapshots: pa.Table) -> None:
        with self._lock:
            for snapshot in sorted(snapshots_of(checked(snapshots)), key=lambda s: s.taken_at):
                owner = (snapshot.aggregate, snapshot.stream_id)
                shape = (snapshot.version, snapshot.schema_version)
                others = [s for s in self._kept.get(owner, []) if (s.version, s.schema_version) != shape or s.taken_at > snapshot.taken_at]
                known = any((s.version, s.schema_version) == shape for s in others)
                kept = sorted(others if known else [*others, snapshot], key=lambda s: (s.version, s.taken_at), reverse=True)
                self._kept[owner] = kept[: kept[0].keep]

    def forget(self, aggregate: str | None = None, stream_ids: Sequence[str] | None = None) -> int:
        streams = None if stream_ids is None else set(check_many("stream_ids", stream_ids))
        with self._lock:
            gone = [o for o in self._kept if aggregate in (None, o[0]) and (streams is None or o[1] in streams)]
            return sum(len(self._kept.pop(owner)) for owner in gone)

    def table(self) -> pa.Table:
        """All that is kept, for a query."""
        with self._lock:
            return table_of([snapshot for kept in self._kept.values() for snapshot in kept])

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        return []                                  # nothing but what is kept is ever here
