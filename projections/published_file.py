"""The file of a published database: written whole beside the one that is there, then put in its place."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa

from projections.errors import PublishError

STORAGE_VERSION: Final = "v1.5.0"
"""Tools bring DuckDB 1.5 for years to come, and it refuses the files of 2.0."""


class Published(NamedTuple):
    """`names`: of the views in it. `left_out`: tables that have none, and why."""

    path: Path
    names: Sequence[str]
    left_out: Mapping[str, str]


def write(path: Path, statements: Sequence[str], rows: Mapping[str, pa.Table]) -> None:
    """`rows`: of tables, which are made before the statements."""
    with duckdb.connect() as connection:
        connection.execute(f"attach {_quoted(str(path))} as published (storage_version '{STORAGE_VERSION}')")
        connection.execute("use published")
        for name, table in rows.items():
            connection.register("given_rows", table)
            connection.execute(f'create table "{name}" as from given_rows')
            connection.unregister("given_rows")
        for statement in statements:
            connection.execute(statement)
        connection.execute("use memory")
        connection.execute("detach published")


@contextmanager
def in_place_of(target: Path) -> Iterator[Path]:
    """A file beside, which takes its place in the end: DuckDB locks what it has open, and readers of the old one keep it."""
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    except (OSError, duckdb.IOException) as error:
        remedy = "give the path of a file in a folder that is there; if a table was removed meanwhile, publish again"
        raise PublishError(str(target), f"it cannot be written ({error})", remedy) from error
    finally:
        for left in (temporary, temporary.with_name(f"{temporary.name}.wal")):
            with suppress(OSError):
                left.unlink()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
