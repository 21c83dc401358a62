"""Upkeep of the snapshots: done by whoever saves, off the append path, as files and commits pile up. Several at once are harmless."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from store.delta.upkeep import Maintained
from store.errors import AccessDeniedError, StoreError
from store.observer import Checkpointed, Cleaned, Compacted, Observer, Vacuumed
from store.snapshots import compaction
from store.snapshots.compaction import Merge
from store.snapshots.snapshot import LAYOUT
from store.snapshots.snapshot_table import SnapshotTable
from store.tables import cleanup, vacuum
from store.tables.checkpoint_file import hinted
from store.tables.files import File
from store.tables.sorted_files import DamagedFileError
from store.tables.table_log import TableLog

CHECKPOINT_EVERY: Final = 16
"""Commits between two checkpoints. A commit lists streams, so that opening would otherwise take milliseconds."""
CLEAN_EVERY_S: Final = 30.0
VACUUM_EVERY_S: Final = 86_400.0
"""It lists all files, so that also those go that no commit names; other clean-ups only remove what was replaced."""
RETENTION_S: Final = 600.0
"""So long a replaced file stays for readers of an older state. Ours look again when one is gone."""
KEPT_FILES: Final = 256
"""So many replaced files stay at most: they are entries of every checkpoint, which the first load of a process reads."""
MERGES: Final = 2
"""By one save, at most: a shard moves down by many, and a saver should not wait for all of them."""
UNNAMED_S: Final = 7 * 86_400.0
"""So long a file stays that no commit names, or that was damaged: those of a table that could not be read any more are among them."""


Done = TypeVar("Done", Checkpointed, Cleaned, Vacuumed)


class SnapshotUpkeep:
    """Compaction, checkpoints, clean-up and vacuum, on demand and after saving. `dry_run`: tell what would be done."""

    def __init__(self, table: SnapshotTable, observer: Observer, by_itself: bool = True) -> None:
        self._table, self._objects, self._observer = table, table.objects, observer
        self._cleaned_s, self._vacuumed_s = time.monotonic(), -math.inf
        self._by_itself = by_itself

    def saved(self) -> None:
        """Do what is due. It never fails: the table is whole without it, and the next one who saves tries again, unless it may not."""
        if not self._by_itself:
            return
        try:
            with self._objects.duty() as ours:     # of several writers on a machine one is enough
                if ours:
                    self._look()
        except StoreError as error:
            self._by_itself = not isinstance(error, AccessDeniedError)
            self._table.tell(error)

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        if not dry_run:
            return self._merge(compaction.mergeable, None)
        log = self._table.known()
        chosen = compaction.mergeable(log.files()) if log is not None else None
        return [compaction.planned(log.version, chosen)] if log is not None and chosen is not None else []

    def checkpoint(self, dry_run: bool = False) -> Checkpointed:
        began, log = time.monotonic(), self._log(dry_run)
        if log is None or log.version < 0:
            return Checkpointed(-1, 0, 0, 0, 0.0, LAYOUT.name)
        size_bytes = 0 if dry_run else log.checkpoint()
        return self._told(Checkpointed(log.version, size_bytes, 0, 0, time.monotonic() - began, LAYOUT.name), dry_run)

    def clean_log(self, dry_run: bool = False) -> Cleaned:
        log = self._log(dry_run)
        return Cleaned(0, 0, 0.0, LAYOUT.name) if log is None else self._told(cleanup.clean(self._objects, log, _now_ms(), dry_run), dry_run)

    def vacuum(self, retention_s: float = RETENTION_S, unnamed_s: float = UNNAMED_S, dry_run: bool = False) -> Vacuumed:
        log = self._log(dry_run)
        if log is None:
            return Vacuumed(0, 0, 0.0, LAYOUT.name)
        return self._told(vacuum.vacuum(self._objects, log, retention_s, unnamed_s, _now_ms(), dry_run), dry_run)

    def maintain(self, dry_run: bool = False) -> Maintained:
        return Maintained(self.compact(dry_run), self.checkpoint(dry_run), self.clean_log(dry_run), self.vacuum(dry_run=dry_run))

    def _look(self) -> None:
        self._merge(compaction.due, MERGES)
        log = self._table.writable()
        if log.version - log.checkpointed >= CHECKPOINT_EVERY:
            log.checkpointed = max(log.checkpointed, hinted(self._objects) or -1)      # another's will do
            if log.version - log.checkpointed >= CHECKPOINT_EVERY:
                self.checkpoint()
        if time.monotonic() - self._cleaned_s > CLEAN_EVERY_S:
            self._cleaned_s = time.monotonic()
            self.clean_log()
            if self._cleaned_s - self._vacuumed_s > VACUUM_EVERY_S:
                self._vacuumed_s = self._cleaned_s
                self.vacuum()
            self._observer.record(vacuum.expire(self._objects, log, RETENTION_S, KEPT_FILES, _now_ms()))

    def _merge(self, choose: Callable[[Sequence[File]], Merge | None], limit: int | None) -> list[Compacted]:
        merged: list[Compacted] = []
        while len(merged) != limit and (chosen := choose((log := self._table.writable()).files())) is not None:
            try:
                done = compaction.merge(self._objects, log, self._table.files, chosen)
            except DamagedFileError as error:      # or it was merged and vacuumed by others: choose anew
                self._table.met(error)
                continue
            if done is not None:
                self._observer.record(done)
                merged.append(done)
        return merged

    def _log(self, dry_run: bool) -> TableLog | None:
        return self._table.known() if dry_run else self._table.writable()

    def _told(self, done: Done, dry_run: bool) -> Done:
        if not dry_run:
            self._observer.record(done)
        return done


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
