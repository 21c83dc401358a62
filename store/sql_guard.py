"""Queries of others: they read the warehouse and nothing else, and no longer, larger or wider than they may."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from store.errors import QueryRefusedError
from store.parquet_sql import literally, quoted


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """Of one query: `seconds` that it may run, once it is planned; `memory_bytes` in which it works; `rows` that it may answer with."""

    seconds: float = 30.0
    memory_bytes: int = 1 << 30
    rows: int = 1_000_000

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_bytes", "rows"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a number above 0")


LIMITS: Final = SqlLimits()
READABLE: Final = ("events", "logs", "snapshots", "projections", "dead_letters", "metrics")
"""What of a warehouse queries of others may open. Not its keys, nor whatever else lies there."""


@dataclass(frozen=True, slots=True)
class Guard:
    """`place`: of the warehouse, a directory or an object-store URI; None: its events are in memory."""

    place: str | None
    limits: SqlLimits

    def lock(self, database: duckdb.DuckDBPyConnection) -> None:
        """For good: only files of the warehouse's tables are opened, but no keys; nothing spills to disk, no setting changes.

        Extensions and attachments are files, too.

        The order matters: once access is off, no directory can be allowed any more. `database`: one that does not see variables of Python.
        """
        if self.place is not None:
            # Also as the pattern that we name its files by, which is what is looked at when they are opened.
            places = ", ".join(quoted(f"{place}/{folder}/") for place in (self.place, literally(self.place)) for folder in READABLE)
            database.execute(f"set global allowed_directories = [{places}]")
        database.execute("set global temp_directory = ''")
        database.execute(f"set global memory_limit = '{self.limits.memory_bytes} bytes'")
        database.execute("set global enable_external_access = false")
        database.execute("set global lock_configuration = true")

    def check(self, connection: duckdb.DuckDBPyConnection, query: str) -> None:
        """QueryRefusedError: it is not one select. Others may write below the warehouse, or leave something for the queries that follow."""
        kinds = [statement.type.name for statement in connection.extract_statements(query)]
        if kinds != ["SELECT"]:
            raise QueryRefusedError(f"it is {' and '.join(kinds) or 'empty'}", "ask by one select; a pivot needs its values listed")

    def answer(self, relation: duckdb.DuckDBPyRelation, interrupt: Callable[[], None]) -> pa.Table:
        """QueryRefusedError: it goes beyond the limits. Nothing of it is answered then."""
        bell, limits = threading.Timer(self.limits.seconds, interrupt), self.limits
        bell.start()
        try:
            rows = relation.limit(limits.rows + 1).to_arrow_table()
        except duckdb.InterruptException as error:
            raise self.too_long() from error
        except duckdb.OutOfMemoryException as error:
            raise self.too_much() from error
        finally:
            bell.cancel()
        if len(rows) > limits.rows:
            raise QueryRefusedError(f"it answers with more than {limits.rows:,} rows", "add a limit, or ask for sums")
        return rows

    def too_long(self) -> QueryRefusedError:
        return QueryRefusedError(f"it took longer than {self.limits.seconds:g} s", "ask of fewer events, such as a stretch by `replay`")

    def too_much(self) -> QueryRefusedError:
        return QueryRefusedError(f"it took more memory than {self.limits.memory_bytes:,} bytes", "group by less, or ask of fewer events")
