"""Reading a table's files that are sorted by one column: footers are remembered, row groups that cannot match stay closed."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from store.errors import StorageError
from store.storage.objects import Objects
from store.tables.files import File
from store.tables.layout import Layout
from store.tables.part import FOOTER_TAG, checksum

REMEMBERED_FOOTER_BYTES: Final = 2 << 20
"""As they lie on disk; in memory they take several times as much."""
KEPT_BYTES: Final = 4 << 20
"""Of the files just written whose rows stay in memory: they are the ones that are read and merged next."""

READ_BYTES: Final = 8 << 20

_GARBAGE: Final = (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OSError)
"""What reading a file of other bytes ends in. Not for want of memory: then the file is as it was."""

Between = Callable[[Any, Any], bool]
"""Can rows from this key to that one be wanted?"""


class DamagedFileError(Exception):
    """A live file is missing or is no such Parquet file. `problem` says which."""

    def __init__(self, file: File, problem: str) -> None:
        self.file, self.problem = file, problem
        super().__init__(f"the live file {file.path} {problem}")


class Footer:
    """A file's metadata. Its statistics cost 2 µs a value in Python, so that only those are read that a search comes by."""

    def __init__(self, metadata: pq.FileMetaData, column: int) -> None:
        self.metadata = metadata
        self.size_bytes: int = metadata.serialized_size
        self._column = column
        self._bounds: dict[int, tuple[Any, Any]] = {}

    def between(self, low: Any, high: Any) -> range:
        """The row groups that can hold keys from `low` to `high`, both included; None: no end there."""
        groups = range(self.metadata.num_row_groups)
        start = 0 if low is None else bisect_left(groups, low, key=lambda group: self.bounds(group)[1])
        return groups[start : None if high is None else bisect_right(groups, high, key=lambda group: self.bounds(group)[0])]

    def bounds(self, group: int) -> tuple[Any, Any]:
        """The least and the greatest key of a row group."""
        found = self._bounds.get(group)
        if found is None:
            statistics = self.metadata.row_group(group).column(self._column).statistics
            if statistics is None or not statistics.has_min_max:
                raise pa.ArrowInvalid("it has no statistics of the column that it is sorted by")
            found = self._bounds[group] = (statistics.min, statistics.max)
        return found


class SortedFiles:
    """Opens files. A file never changes, so what was read of it stays true.

    DamagedFileError: the list of live files is old, or the file is damaged. StorageError: it cannot be read now.
    """

    def __init__(self, objects: Objects, layout: Layout, key: str, kept_bytes: int = KEPT_BYTES) -> None:
        """`kept_bytes`: of the rows that stay in memory; see `keep`."""
        self._objects, self._schema, self._most_kept_bytes = objects, layout.schema, kept_bytes
        self._key = layout.schema.get_field_index(key)
        self._lock = threading.Lock()
        self._footers: OrderedDict[str, Footer] = OrderedDict()
        self._footer_bytes = 0
        self._kept: OrderedDict[str, pa.Table] = OrderedDict()
        self._kept_bytes = 0

    def keep(self, file: File, rows: pa.Table) -> None:
        """Remember the rows of a file just written or read, so that it need not be opened."""
        with self._lock:
            if file.path not in self._kept:
                self._kept[file.path] = rows
                self._kept_bytes += rows.nbytes
            while self._kept_bytes > self._most_kept_bytes:
                self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes

    def drop(self, files: Iterable[File]) -> None:
        """Forget files that are no longer live."""
        with self._lock:
            for file in files:
                if (footer := self._footers.pop(file.path, None)) is not None:
                    self._footer_bytes -= footer.size_bytes
                if (kept := self._kept.pop(file.path, None)) is not None:
                    self._kept_bytes -= kept.nbytes

    def groups(self, file: File) -> list[tuple[Any, int]]:
        """The least key and the size in memory, about, of each row group in order."""
        with self._opened(file) as (footer, _):
            return [(footer.bounds(g)[0], footer.metadata.row_group(g).total_byte_size) for g in range(footer.metadata.num_row_groups)]

    def read_whole(self, file: File, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a file, in its order, with these columns or all."""
        wanted = self._schema if columns is None else pa.schema([self._schema.field(name) for name in columns])
        if (kept := self._kept.get(file.path)) is not None:
            return kept.select(wanted.names)
        with self._opened(file) as (_, source):
            return source.read(columns=wanted.names, use_threads=False).select(wanted.names).cast(wanted)

    def read(self, file: File, low: Any, high: Any, wanted: Between | None = None, at_once_bytes: int = READ_BYTES) -> Iterator[pa.Table]:
        """The rows of the row groups that can hold keys from `low` to `high` (see `Footer.between`): others come along.

        A few row groups at a time, so that a large file takes `at_once_bytes`.
        """
        if (kept := self._kept.get(file.path)) is not None:
            yield kept
            return
        with self._opened(file) as (footer, source):
            groups = [group for group in footer.between(low, high) if wanted is None or wanted(*footer.bounds(group))]
            for some in _batches(groups, footer.metadata, at_once_bytes):
                rows = source.read_row_groups(some, columns=self._schema.names, use_threads=False)
                yield rows.select(self._schema.names).cast(self._schema)

    @contextmanager
    def _opened(self, file: File) -> Iterator[tuple[Footer, pq.ParquetFile]]:
        try:
            with self._lock:
                footer = self._footers.get(file.path)
            source = self._objects.open(file.path)
            known = footer.metadata if footer else None
            if known is None:
                _check_footer(file, source)
            apart = not isinstance(source, pa.BufferReader)      # what is mapped is in memory already
            with pq.ParquetFile(source, metadata=known, pre_buffer=apart, page_checksum_verification=True) as parquet:
                yield footer or self._remembered(file, parquet.metadata), parquet
        except _GARBAGE as error:
            raise DamagedFileError(file, f"is damaged ({error})") from error
        except StorageError as error:
            if self._objects.get(file.path) is not None:
                raise
            raise DamagedFileError(file, "is missing") from error

    def _remembered(self, file: File, metadata: pq.FileMetaData) -> Footer:
        if metadata.num_rows != file.rows or not set(self._schema.names) <= set(metadata.schema.to_arrow_schema().names):
            raise pa.ArrowInvalid(f"it holds {metadata.num_rows} rows, not {file.rows}, or other columns")
        footer = Footer(metadata, self._key)
        with self._lock:
            if file.path not in self._footers:
                self._footers[file.path] = footer
                self._footer_bytes += footer.size_bytes
            while self._footer_bytes > REMEMBERED_FOOTER_BYTES:
                self._footer_bytes -= self._footers.popitem(last=False)[1].size_bytes
        return footer


def _check_footer(file: File, source: pa.NativeFile) -> None:
    """Files of other writers, which have no checksum, are believed."""
    expected = file.tags.get(FOOTER_TAG)
    if expected is None:
        return
    size = source.size()
    tail = source.read_at(min(size, 8), max(0, size - 8))
    length = min(size, int.from_bytes(tail[:4], "little") + 8)
    if checksum(pa.py_buffer(source.read_at(length, size - length))) != expected:
        raise pa.ArrowInvalid("its footer is not the one that was written")


def _batches(groups: Sequence[int], metadata: pq.FileMetaData, at_once_bytes: int) -> Iterator[list[int]]:
    some, held = [], 0
    for group in groups:
        some.append(group)
        held += metadata.row_group(group).total_byte_size
        if held >= at_once_bytes:
            yield some
            some, held = [], 0
    if some:
        yield some
