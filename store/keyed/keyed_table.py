"""A table of rows by key: anybody reads it; turns change it, each of which commits rows and its writer's txns together or nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Final

import pyarrow as pa

from store.access import check_maintenance
from store.delta.upkeep import Maintained
from store.errors import TableMovedError
from store.keyed.keyed_turn import KeyedTurn
from store.keyed.keys import in_order
from store.keyed.merging import merged
from store.keyed.opened import GROUP_BYTES, KeyedState, Opened, layout_of
from store.keyed.upkeep import KeyedUpkeep
from store.observer import Guarded, LoggingObserver, Observer, Vacuumed
from store.storage.places import objects_at
from store.tables.checkpoint_file import HINT
from store.tables.files import File
from store.tables.patterns import open_to_views
from store.tables.publishing import log_path
from store.tables.sorted_files import DamagedFileError, SortedFiles

READERS: Final = 4


class KeyedTable:
    """A Delta table at a path or an object-store URI, with one row a key, ours alone to write. Safe to use from many threads at once.

    `columns`: of its rows; `key`: some of them, never null, none a floating-point number, a list or a struct. Any number of processes read and
    write it: readers see one committed state, and of two turns from one state one wins. A place without a table has no rows.

    Every method: StorageError, storage refuses; TableRefusedError, there is something else, or it is torn; NewerTableError.
    """

    def __init__(
        self, uri: str, name: str, columns: pa.Schema, key: Sequence[str], *, description: str = "", observer: Observer | None = None
    ) -> None:
        self.uri, self.columns, self.key = uri, columns, tuple(key)
        self._layout = layout_of(name, description, columns, self.key)
        self._observer = Guarded(LoggingObserver() if observer is None else observer)
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._upkeep: KeyedUpkeep | None = None

    def state(self) -> KeyedState:
        """The newest one."""
        return self._table().state()

    def rows(self, names: Sequence[str] | None = None, limit: int | None = None) -> pa.Table:
        """The rows of one committed state, in the order of their keys, with these columns or all; the first `limit` of them."""
        return self._read(lambda files: files if limit is None else _first(files, limit), names).slice(0, limit)

    def last_rows(self, limit: int, names: Sequence[str] | None = None) -> pa.Table:
        """The last `limit` rows by the order of their keys, in that order."""
        rows = self._read(lambda files: _first(files[::-1], limit)[::-1], names)
        return rows.slice(max(0, len(rows) - limit))

    def files(self) -> list[str]:
        """The live Parquet files, as DuckDB and Polars are given them."""
        table = self._table()
        return [table.objects.location(file.path) for file in table.state().leaves.files]

    def turn(self) -> KeyedTurn:
        """A hold on the newest state, for reading and changing it."""
        table = self._table()
        if not table.is_there():                   # removed by somebody, to make it anew
            table = self._table(anew=True)
        assert self._upkeep is not None
        return KeyedTurn(table, table.state(), self._upkeep.committed)

    def stage(self, rows: pa.Table) -> File:
        """Write rows (one a key, one at least) beside the table, durably, for a commit that somebody else makes of them. Nobody sees them before.

        `rows`: all columns, or the key's alone. One file, in the order of the keys. What is neither unstaged nor recorded (`KeyedTurn.record`)
        goes with a vacuum after a day.
        """
        return self._table().stage(in_order(rows, self.key))

    def staged(self, file: File) -> pa.Table:
        """Those rows. TableRefusedError: the file is gone, or damaged."""
        table = self._table()
        try:
            return table.files.read_whole(file)
        except DamagedFileError as error:
            raise table.refusal(str(error)) from error

    def merged(self, files: Sequence[File]) -> Iterator[pa.Table]:
        """The rows of staged files, block by block in the order of their keys; those of one key are in one block. In memory is a block of each file.

        TableMovedError: some of them are not recorded any more, and gone. TableRefusedError: they are gone, or damaged.
        """
        return self._merged(self._table().files, files)

    def merged_keys(self, files: Sequence[File]) -> Iterator[pa.Table]:
        """Their keys alone, in the same way."""
        return self._merged(self._table().keys, files)

    def _merged(self, sorted_files: SortedFiles, files: Sequence[File]) -> Iterator[pa.Table]:
        try:
            yield from merged([sorted_files.read(file, None, None, at_once_bytes=GROUP_BYTES) for file in files], self.key)
        except DamagedFileError as error:
            if error.file.path not in {file.path for files in self.turn().staged.values() for file in files}:
                raise TableMovedError(self.uri) from error
            raise self._table().refusal(str(error)) from error

    def unstage(self, files: Sequence[File]) -> None:
        """Forget them; they may be gone already."""
        table = self._table()
        table.files.drop(files)
        table.objects.delete([file.path for file in files])

    def maintain(self, dry_run: bool = False) -> Maintained:
        """Merge small leaves, vacuum, write a checkpoint, clean the log. Those who commit do it by themselves, as it falls due."""
        self._table()
        assert self._upkeep is not None
        return self._upkeep.maintain(dry_run)

    def purge(self) -> Vacuumed:
        """Remove every file but the live ones, now: of what was deleted nothing is left in any file. Readers of an older state read the newest one.

        What is being written meanwhile is refused as TableMovedError, and so are staged files that are not recorded yet.
        """
        self._table()
        assert self._upkeep is not None
        return self._upkeep.purge()

    def check_maintenance(self) -> None:
        """AccessDeniedError: these credentials may not remove what is replaced. To be asked before rows go of which nothing is to be left."""
        check_maintenance(self._table().objects)

    def open_to_views(self) -> bool:
        """Let the views of a published database follow it: a checkpoint and a file without rows are there from now on. False: there is no table."""
        table = self._table()
        return open_to_views(table.objects, table.log)

    def remove(self) -> None:
        """Delete all of its files, for good. Readers of it fail from now on. After a crash, remove it again."""
        with self._lock:
            self._opened = self._upkeep = None
        objects = objects_at(self.uri, self._observer)
        objects.delete([entry.path for entry in (*objects.list(""), *objects.leftovers())])

    def _table(self, anew: bool = False) -> Opened:
        with self._lock:
            if self._opened is None or anew:
                self._opened = Opened(objects_at(self.uri, self._observer), self._layout, self.key)
                self._upkeep = KeyedUpkeep(self._opened, self._observer)
            return self._opened

    def _read(self, choose: Callable[[Sequence[File]], Sequence[File]], names: Sequence[str] | None) -> pa.Table:
        """These columns, or all, of the leaves that are chosen among those of the newest state."""
        names = self.columns.names if names is None else list(names)
        while True:
            files = self.state().leaves.files
            try:
                return self._leaves(choose(files), names)
            except DamagedFileError as error:      # if it was replaced, and vacuumed, there is a newer state to read
                if error.file.path in {file.path for file in self.state().leaves.files}:
                    raise self._table().refusal(str(error)) from error

    def _leaves(self, files: Sequence[File], names: Sequence[str]) -> pa.Table:
        table, wanted = self._table(), pa.schema([self.columns.field(name) for name in names])
        with ThreadPoolExecutor(READERS, "alluvium-leaves") as pool:
            read = list(pool.map(lambda file: table.files.read_whole(file, names), files))
        return pa.concat_tables([wanted.empty_table(), *read])


def _first(files: Sequence[File], rows: int) -> list[File]:
    """As many of them as hold so many rows."""
    before = accumulate((file.rows for file in files), initial=0)
    return [file for file, start in zip(files, before, strict=False) if start < rows]


def is_table(uri: str) -> bool:
    """Is there a Delta table of ours, whatever its columns?"""
    objects = objects_at(uri)
    return any(objects.get(path) is not None for path in (log_path(0), HINT))
