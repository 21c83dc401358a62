"""Rows that a session may see, read when its DuckDB scans them: chosen by us, in a DuckDB of our own, before any filter of others is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from store.errors import StorageError, StoreError
from store.grants.granted_sql import identifier
from store.grants.narrowing import named_in, narrowed

BATCH_ROWS = 32_768
Opened = Callable[[], duckdb.DuckDBPyConnection]


class Scans:
    """Those under way of one query. `interrupt` ends them and the query; `failure`: what went wrong on our side, of which others see nothing."""

    def __init__(self, query: duckdb.DuckDBPyConnection, opened: Opened) -> None:
        self._query, self._opened = query, opened
        self._lock = threading.Lock()
        self._under_way: list[duckdb.DuckDBPyConnection] = []
        self._over = False
        self.failure: Exception | None = None

    def interrupt(self) -> None:
        with self._lock:
            self._over = True
            for connection in self._under_way:
                connection.interrupt()
        self._query.interrupt()

    def rows(self, select: str, schema: pa.Schema) -> pa.RecordBatchReader:
        """Of this select, in these columns."""
        return pa.RecordBatchReader.from_batches(schema, self._batches(select, schema))

    def schema(self, select: str) -> pa.Schema:
        with self._opened() as connection:
            return connection.sql(f"select * from ({select}) limit 0").to_arrow_table().schema

    def close(self) -> None:
        """The query is over: its connection knows the rows, and they know it."""
        self._query.close()

    def _batches(self, select: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        connection = self._opened()
        with self._lock:
            if self._over:
                raise _OverError
            self._under_way.append(connection)
        try:
            for batch in connection.sql(select).to_arrow_reader(BATCH_ROWS):
                yield batch.cast(schema)
        except (duckdb.Error, StoreError, pa.ArrowException) as error:
            self.failure = self.failure or error
            raise _OverError from None                  # its text may hold names of files
        finally:
            with self._lock:
                self._under_way.remove(connection)
            connection.close()


class _OverError(Exception):
    """No more rows come; why, nobody is told who reads them."""

    def __str__(self) -> str:
        return "the granted rows cannot be read"


class GrantedRows(ds.Dataset):  # type: ignore[misc]
    """As a dataset of Arrow, of which DuckDB asks columns and a filter for each scan.

    The filter is applied here, to rows that are granted: no expression of a query ever meets another row. Of the comparisons in it that choose files
    our own DuckDB is told, too.
    """

    def __init__(self, scans: Scans, select: str, schema: pa.Schema, is_log: bool = False) -> None:
        """`select`: of the granted rows, in these columns and, if it is the log, `_shard`, `_first` and `_last`."""
        self._scans, self._select, self._schema, self._is_log = scans, select, schema, is_log

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_: Any) -> ds.Scanner:
        wanted = list(self._schema.names if columns is None else columns) or self._schema.names[:1]
        read = pa.schema([field for field in self._schema if field.name in {*wanted, *named_in(filter, self._schema)}])
        where = narrowed(filter, self._schema, self._is_log)
        rows = self._scans.rows(f"select {', '.join(map(identifier, read.names))} from ({self._select}) where {where}", read)
        return ds.Scanner.from_batches(rows, columns=wanted, filter=filter)


def unread(error: Exception) -> StorageError:
    """What is told of a failure on our side."""
    return StorageError(f"the granted part of the warehouse cannot be read now ({type(error).__name__}): ask again, or see to the storage")
