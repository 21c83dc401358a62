"""Upkeep of a keyed table: done by whoever commits, as commits and files pile up. Several at once are harmless."""

from __future__ import annotations

import time
from typing import Final

import pyarrow as pa

from store.delta.upkeep import Maintained
from store.errors import AccessDeniedError, StoreError
from store.keyed.leaves import small_neighbours
from store.keyed.opened import Opened
from store.observer import Checkpointed, Compacted, Failed, Measurement, Observer, Vacuumed
from store.tables import cleanup, vacuum
from store.tables.checkpoint_file import hinted
from store.tables.files import File
from store.tables.replacement import Replacement, replace
from store.tables.sorted_files import DamagedFileError

CHECKPOINT_EVERY: Final = 32
"""Commits between two checkpoints: so many are read at most to open a table."""
CLEAN_EVERY_S: Final = 30.0
RETENTION_S: Final = 600.0
"""So long a replaced file stays for readers of an older state."""
KEPT_FILES: Final = 1_024
"""So many replaced files stay at most, or twice as many as are live: they are entries of every checkpoint."""
UNNAMED_S: Final = 86_400.0
"""So long a file stays that no commit names."""

AHEAD_S: Final = 86_400.0
"""The clock of the storage, which tells how old a file is, is not further ahead of ours."""


class KeyedUpkeep:
    """Checkpoints, clean-up, vacuum, and merging of leaves that deletes have left small. `dry_run`: tell what would be done."""

    def __init__(self, opened: Opened, observer: Observer) -> None:
        self._opened, self._log, self._objects, self._observer = opened, opened.log, opened.objects, observer
        self._cleaned_s = time.monotonic()
        self._by_itself = True

    def committed(self) -> None:
        """Do what is due. It never fails: the table is whole without it, and the next one who commits tries again, unless it may not."""
        if not self._by_itself:
            return
        try:
            with self._objects.duty() as ours:     # of several writers on a machine one is enough
                if ours:
                    self._look()
        except StoreError as error:
            self._by_itself = not isinstance(error, AccessDeniedError)
            self._observer.record(Failed(self._log.layout.name, str(error)))

    def maintain(self, dry_run: bool = False) -> Maintained:
        """All of it, now and in full."""
        log, now_ms = self._log, time.time_ns() // 1_000_000
        log.refresh()
        merged = [merge for run in self._small() if (merge := self._merge(run, dry_run)) is not None]
        vacuumed = vacuum.vacuum(self._objects, log, RETENTION_S, UNNAMED_S, now_ms, dry_run)
        checkpointed = self._checkpoint(dry_run)
        cleaned = cleanup.clean(self._objects, log, now_ms, dry_run)
        if not dry_run:
            told: list[Measurement] = [*merged, vacuumed, checkpointed, cleaned]
            for done in told:
                self._observer.record(done)
        return Maintained(merged, checkpointed, cleaned, vacuumed)

    def purge(self) -> Vacuumed:
        """Remove every file but the live ones, however new: of rows that were deleted nothing is left then. Who reads or writes begins anew."""
        log = self._log
        log.refresh()
        now_ms = max([time.time_ns() // 1_000_000, *(retired.retired_ms for retired in log.retired())])      # another's clock may be ahead
        purged = vacuum.vacuum(self._objects, log, 0.0, -AHEAD_S, now_ms, dry_run=False)
        self._observer.record(purged)
        return purged

    def _look(self) -> None:
        log = self._log
        if log.version - log.checkpointed >= CHECKPOINT_EVERY:
            log.checkpointed = max(log.checkpointed, hinted(self._objects) or -1)      # another's will do
            if log.version - log.checkpointed >= CHECKPOINT_EVERY:
                self._observer.record(self._checkpoint(dry_run=False))
        if time.monotonic() - self._cleaned_s > CLEAN_EVERY_S:
            self._cleaned_s, now_ms = time.monotonic(), time.time_ns() // 1_000_000
            self._observer.record(cleanup.clean(self._objects, log, now_ms, dry_run=False))
            kept = max(KEPT_FILES, 2 * len(log.files()))
            self._observer.record(vacuum.expire(self._objects, log, RETENTION_S, kept, now_ms))

    def _checkpoint(self, dry_run: bool) -> Checkpointed:
        began, log = time.monotonic(), self._log
        size_bytes = 0 if dry_run or log.version < 0 else log.checkpoint()
        return Checkpointed(log.version, size_bytes, 0, 0, time.monotonic() - began, log.layout.name)

    def _small(self) -> list[list[File]]:
        state = self._opened.state()
        return small_neighbours(state.leaves.files, state.row_count)

    def _merge(self, run: list[File], dry_run: bool) -> Compacted | None:
        """None: another was first. The rows stay the same, so a turn that read them is over, and nothing is lost."""
        began, log, vacuumed, before_bytes = time.monotonic(), self._log, self._log.vacuumed, sum(file.size_bytes for file in run)
        rows = sum(file.rows for file in run)
        if dry_run:
            return Compacted(log.version, len(run), 1, rows, 0, 0.0, before_bytes, log.layout.name)
        try:
            leaves = [self._opened.read(file) for file in run]
        except DamagedFileError as error:
            log.refresh()
            if error.file.path not in {live.path for live in log.files()}:
                return None
            raise self._opened.refusal(str(error)) from error
        merged = self._opened.write(pa.concat_tables(leaves).combine_chunks())
        version = replace(self._objects, log, Replacement(run, [merged], "OPTIMIZE", data_change=False), vacuumed)
        if version is None:
            return None
        return Compacted(version, len(run), 1, rows, merged.size_bytes, time.monotonic() - began, before_bytes, log.layout.name)
