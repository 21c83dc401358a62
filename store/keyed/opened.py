"""A keyed table as this process knows it: its log, and the files that were read lately."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from store.errors import TableRefusedError
from store.keyed.keys import Key, Ordered, key_of, text_of
from store.keyed.leaves import LOW_TAG, Leaves
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.layout import Layout
from store.tables.part import Part
from store.tables.publishing import FEATURE, log_path
from store.tables.sorted_files import SortedFiles
from store.tables.table_log import TableLog

KEPT_BYTES: Final = 64 << 20
"""Of the leaves read or written lately, whose rows stay in memory: the ones that are changed next are among them."""
GROUP_BYTES: Final = 1 << 20
"""Of the rows in a row group of a staged file, in memory: so much of each file is held when many are merged."""
_BOUNDED: Final = (pa.int32(), pa.int64(), pa.string())


@dataclass(frozen=True, slots=True)
class KeyedState:
    """A table after one commit. `delta_version`: -1 where there is none yet. `txns`, `marks`: what its writers said last."""

    delta_version: int
    txns: Mapping[str, int]
    marks: Mapping[str, str]
    leaves: Leaves

    @property
    def row_count(self) -> int:
        return sum(file.rows for file in self.leaves.files)


class Opened:
    """Raises StorageError where storage refuses, TableRefusedError where there is something else than such a table."""

    def __init__(self, objects: Objects, layout: Layout, key: Sequence[str]) -> None:
        self.objects, self.layout, self.key = objects, layout, tuple(key)
        self.files = SortedFiles(objects, layout, self.key[0], KEPT_BYTES)
        self.keys = SortedFiles(objects, self._layout_of_keys(), key[0])
        self.log = TableLog(objects, layout)
        self._columns = [layout.schema.field(name) for name in self.key]

    def state(self) -> KeyedState:
        """The newest one."""
        log = self.log
        with log.lock:
            log.refresh()
            return KeyedState(log.version, dict(log.txns), {} if log.table is None else dict(log.table.marks), self.leaves(log.files()))

    def leaves(self, files: Iterable[File]) -> Leaves:
        """These files as leaves. TableRefusedError: the log does not tell of one where it begins."""
        return Leaves({self._low(file): file for file in files})

    def read(self, file: File) -> pa.Table:
        """The rows of a leaf, which stay in memory for a while. DamagedFileError: it is gone, or no such file."""
        rows = self.files.read_whole(file)
        self.files.keep(file, rows)
        return rows

    def write(self, rows: pa.Table) -> File:
        """A durable leaf of these sorted rows, one at least; not yet part of the table."""
        part = Part(self.layout)
        part.add(rows)
        file = part.put(self.objects, {LOW_TAG: text_of(Ordered(rows.slice(0, 1), self.key)[0])})
        self.files.keep(file, rows)
        return file

    def stage(self, rows: pa.Table) -> File:
        """A durable file of these sorted rows, one at least, or of their keys alone, no part of the table. In row groups that are read one by one."""
        part = Part(self._layout_of_keys() if rows.schema.names == list(self.key) else self.layout)
        count = max(1, min(len(rows), GROUP_BYTES * len(rows) // max(1, int(rows.nbytes))))
        for start in range(0, len(rows), count):
            part.add(rows.slice(start, count))
        return part.put(self.objects)

    def is_there(self) -> bool:
        """Is the table still where it was found? Somebody may have removed it, to make it anew."""
        return self.log.version < 0 or self.objects.get(log_path(self.log.version)) is not None

    def refusal(self, problem: str) -> TableRefusedError:
        return TableRefusedError(self.objects.uri, problem, "move the table away, and make it anew")

    def _layout_of_keys(self) -> Layout:
        return replace(self.layout, schema=pa.schema([self.layout.schema.field(name) for name in self.key]), bounded=())

    def _low(self, file: File) -> Key:
        try:
            return key_of(file.tags[LOW_TAG], self._columns)
        except (KeyError, ValueError) as error:
            raise self.refusal(f"the log does not tell the least key of {file.path} ({error!r})") from error


def layout_of(name: str, description: str, columns: pa.Schema, key: Sequence[str]) -> Layout:
    """Ours alone to write: the least key of each file stands in the log, which nobody else would keep right."""
    return Layout(
        name=name,
        description=description,
        schema=columns,
        partition=None,
        bounded=tuple(column for column in key if columns.field(column).type in _BOUNDED),
        features=(FEATURE,),
        configuration=_CONFIGURATION,
        parquet={"compression": "zstd", "compression_level": 1},
    )


_CONFIGURATION: Final[Mapping[str, Any]] = {
    "alluvium.format": "1",
    # Foreign clean-up must not outrun our own: we say when log files and replaced files go.
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}
