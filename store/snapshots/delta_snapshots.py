"""The snapshots of a warehouse in a Delta table of their own, made by the first save."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa

from store.delta.upkeep import Maintained
from store.errors import NewerTableError, OutcomeUnknownError, StorageError, StoreClosedError, StoreError, TableRefusedError
from store.observer import Checkpointed, Cleaned, Compacted, Observer, Vacuumed
from store.reading import check_many
from store.shard import ROOT, depth_for
from store.snapshots import compaction, forgetting, reading, writing
from store.snapshots.arrangement import arranged, frame_of, rows_of
from store.snapshots.index import Index, Wanted
from store.snapshots.snapshot import SNAPSHOTS, Snapshot, checked, table_of
from store.snapshots.snapshot_table import FRESH_S, SnapshotTable
from store.snapshots.upkeep import RETENTION_S, UNNAMED_S, SnapshotUpkeep
from store.storage.objects import Objects
from store.tables.patterns import open_to_views
from store.tables.replacement import Replacement, replace
from store.tables.sorted_files import DamagedFileError
from store.tables.table_log import TableLog

_TRIES: Final = 100
"""Each meets another damaged file, or a change that another process made in the meantime."""

T = TypeVar("T")


class DeltaSnapshots:
    """See `Snapshots` for the verbs. One handle serves many threads."""

    def __init__(self, objects: Objects, observer: Observer, fresh_s: float = FRESH_S, upkeep: bool = True) -> None:
        """`fresh_s`: so long an answer may lack what other processes saved. `upkeep`: does saving look after the table, too?"""
        self._objects = objects
        self._table = SnapshotTable(objects, observer, fresh_s)
        self._upkeep = SnapshotUpkeep(self._table, observer, upkeep)

    # Reading --------------------------------------------------------------------------------------------------

    def newest(self, aggregate: str, stream_id: str, version: int | None = None, position: int | None = None) -> Sequence[Snapshot]:
        wanted = Wanted(aggregate, version, position)
        nothing: Sequence[Snapshot] = []
        return self._answer(lambda index: reading.newest(self._table.files, index, stream_id, wanted), nothing)

    def newest_many(self, aggregate: str, stream_ids: Sequence[str] | None = None, position: int | None = None) -> pa.Table:
        wanted = Wanted(aggregate, None, position)
        if stream_ids is not None:
            check_many("stream_ids", stream_ids)
        return self._answer(lambda index: reading.newest_many(self._table.files, index, stream_ids, wanted), SNAPSHOTS.empty_table())

    def locations(self) -> list[str]:
        """The full names of the live files that can be read, for a query: it would fail at any other."""
        nothing: list[str] = []
        return self._answer(self._readable, nothing)

    # Writing --------------------------------------------------------------------------------------------------

    def save(self, snapshots: Sequence[Snapshot]) -> None:
        if snapshots:
            self._save(table_of(snapshots))

    def save_table(self, snapshots: pa.Table) -> None:
        if len(rows := checked(snapshots)):
            self._save(rows)

    def forget(self, aggregate: str | None = None, stream_ids: Sequence[str] | None = None) -> int:
        if stream_ids is not None:
            check_many("stream_ids", stream_ids)

        def forgotten(log: TableLog) -> int | None:
            vacuumed = log.vacuumed
            removed, added, rows = forgetting.without(self._objects, self._table.files, Index(log.files()), aggregate, stream_ids)
            if removed and replace(self._objects, log, Replacement(removed, added, "DELETE", data_change=True), vacuumed) is None:
                return None
            self._table.files.drop(removed)
            return rows

        return self._changed(forgotten)

    def open_to_views(self) -> bool:
        """Let the views of a published database follow the table. False: there is none, as none was ever saved."""
        with _refusals():
            log = self._table.known()
            return log is not None and open_to_views(self._objects, log)

    # Upkeep ---------------------------------------------------------------------------------------------------

    def compact(self, dry_run: bool = False) -> list[Compacted]:
        with _refusals():
            return self._upkeep.compact(dry_run)

    def checkpoint(self, dry_run: bool = False) -> Checkpointed:
        """Write a checkpoint of the table's log now. Saving does this by itself every few commits."""
        with _refusals():
            return self._upkeep.checkpoint(dry_run)

    def clean_log(self, dry_run: bool = False) -> Cleaned:
        """Remove commits and checkpoints that a newer checkpoint has summed up, once they are ten minutes old."""
        with _refusals():
            return self._upkeep.clean_log(dry_run)

    def vacuum(self, retention_s: float = RETENTION_S, unnamed_s: float = UNNAMED_S, dry_run: bool = False) -> Vacuumed:
        """Remove files that were replaced longer ago than `retention_s`.

        And what is older than `unnamed_s`: files that no commit names, copies in the quarantine. With 0 for both nothing is left of what
        was forgotten or replaced; a query under way may then miss its files.
        """
        with _refusals():
            return self._upkeep.vacuum(retention_s, unnamed_s, dry_run)

    def maintain(self, dry_run: bool = False) -> Maintained:
        """Mend what is damaged, compact, checkpoint, clean the log, vacuum: what saving does by itself, now and in full."""
        with _refusals():
            return self._upkeep.maintain(dry_run)

    def close(self) -> None:
        self._objects.close()

    # Below ----------------------------------------------------------------------------------------------------

    def _answer(self, find: Callable[[Index], T], nothing: T) -> T:
        for _ in range(_TRIES):
            try:
                return find(self._table.index())
            except DamagedFileError as error:
                self._table.met(error)
            except StoreError as error:
                self._table.tell(error)
                break
        return nothing

    def _readable(self, index: Index) -> list[str]:
        for file in index.files():
            self._table.files.groups(file)
        return [self._objects.location(file.path) for file in index.files()]

    def _save(self, rows: pa.Table) -> None:
        frame = arranged(frame_of(rows))

        def saved(log: TableLog) -> bool | None:
            vacuumed = log.vacuumed
            files = writing.write(self._objects, [frame], self._place(log, frame))
            if replace(self._objects, log, Replacement([], files, "WRITE", data_change=True), vacuumed) is None:
                return None
            if len(files) == 1 and len(frame) <= writing.LISTED_STREAMS:
                self._table.files.keep(files[0], rows_of(frame))
            return True

        try:
            self._changed(saved)
        except NewerTableError as error:           # the processes that can read it also write it
            self._table.tell(error)
        else:
            self._upkeep.saved()

    def _place(self, log: TableLog, frame: pl.DataFrame) -> writing.Place:
        """Very many go to leaves at once."""
        if len(frame) < compaction.PUSHED_ROWS:
            return writing.within(ROOT)
        return writing.spread(depth_for(len(frame) + sum(file.rows for file in log.files()), writing.LEAF_ROWS))

    def _changed(self, change: Callable[[TableLog], T | None]) -> T:
        """What the change answers; None from it means that another was first."""
        with _refusals():
            for _ in range(_TRIES):
                try:
                    if (done := change(self._table.writable())) is not None:
                        return done
                except DamagedFileError as error:
                    self._table.met(error)
                except NewerTableError:
                    raise
                except TableRefusedError as error:  # it was damaged just now: the next look mends it
                    self._table.tell(error)
        raise StorageError(f"{self._objects.uri} is changed by others all the time: try again")


@contextmanager
def _refusals() -> Iterator[None]:
    """A caller can do one thing about snapshots that are not saved: try again, or go on without."""
    try:
        yield
    except OutcomeUnknownError as error:
        raise StorageError(f"{error}: snapshots may be saved twice, so save them again or go on without") from error
    except StoreClosedError as error:
        raise StorageError(f"{error}; until then this process saves no snapshots") from error
