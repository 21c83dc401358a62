"""The contract of the snapshots, in words. `MemorySnapshots` is the reference, `DeltaSnapshots` the real thing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

import pyarrow as pa

from store.observer import Compacted
from store.snapshots.snapshot import Snapshot

_AT_ONCE: Final = 10_000
"""So many streams are named in one commit at most."""


class Snapshots(Protocol):
    """States of aggregates, at most a shortcut: any of them may be missing, and an answer may lack what was saved elsewhere a second ago.

    Of each aggregate and stream the newest `keep` stay, by the `keep` of the newest of them; older ones may go at any time.
    Snapshots of one version and one schema_version are one: the one taken last. Reading never fails because of what lies in
    storage: what cannot be read counts as missing, and the observer is told. Safe to use from many threads at once.
    """

    def newest(self, aggregate: str, stream_id: str, version: int | None = None, position: int | None = None) -> Sequence[Snapshot]:
        """Newest first, at or below that version of the stream and that position of the log: `keep` of them at most.

        So a caller can fall back to an older one where the newest is of an unknown shape. Sees what this handle saved.
        """

    def newest_many(self, aggregate: str, stream_ids: Sequence[str] | None = None, position: int | None = None) -> pa.Table:
        """The newest one of each stream at or below the position, by stream_id; columns of SNAPSHOTS. None: of all streams."""

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        """Keep all of them, or none. Durable when it returns.

        InvalidEventError: mend the input. StorageError: storage refuses, or did not say whether they are kept; save
        again, or go on without. Where a newer store keeps them in another format nothing is saved, and the observer is told.
        """

    def save_table(self, snapshots: pa.Table) -> None:
        """The same for very many: columns of SNAPSHOTS, rows in any order."""

    def forget(self, aggregate: str | None = None, stream_ids: Sequence[str] | None = None) -> int:
        """Drop the snapshots of that aggregate, and of those streams; None: of any. How many that were kept.

        Their bytes are gone once the table has been vacuumed. States that a process remembers in memory stay there until it
        opens the store anew. StorageError as for `save`. NewerTableError: nothing was dropped, a newer store must do it.
        """

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        """Merge files and drop what is not kept, now and in full. Saving does this by itself as files pile up."""


def forget_streams(snapshots: Snapshots, stream_ids: Collection[str]) -> int:
    """Drop those of these streams, however many they are. How many that were kept."""
    names = sorted(stream_ids)
    return sum(snapshots.forget(None, names[first : first + _AT_ONCE]) for first in range(0, len(names), _AT_ONCE))
