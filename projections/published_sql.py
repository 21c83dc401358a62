"""The warehouse as a DuckDB database that any tool opens, with nothing of ours: views and macros that follow the tables by themselves."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from projections.errors import PublishError
from projections.models.builds import Builds
from projections.models.dead_letters import DeadLetters
from projections.projection import Projection
from projections.served import Served, served
from store import KeyedTable, live_log, live_mark, live_view

NAME: Final = "warehouse.duckdb"
STORAGE_VERSION: Final = "v1.5.0"
"""Tools bring DuckDB 1.5 for years to come, and it refuses the files of 2.0."""


class Published(NamedTuple):
    """`names`: of the views in it. `left_out`: tables that have none, and why."""

    path: Path
    names: Sequence[str]
    left_out: Mapping[str, str]


def publish_sql(warehouse: str, projections: Sequence[Projection] = (), path: str | os.PathLike[str] | None = None) -> Published:
    """Write a DuckDB database with a view of each table, and the macros of the log, in the place of the one that is there; whole, or not at all.

    It has no rows of its own. `events`, `snapshots` and `dead_letters` are at their newest commit whenever they are asked, and so are these read
    models and those of every warehouse, of the builds that serve now: publish it again after a switch, and when something is made that was left out.
    `checkpoints` tells how far each is. Who has the old file open keeps the old views. `path`: by default `warehouse.duckdb` in the warehouse.

    PublishError: the file cannot be written, or two views would have one name. TableRefusedError: see `store.live_log`.
    """
    tables, log = served(warehouse, projections), live_log(warehouse)
    _open_to_views(warehouse, tables)
    left_out = dict(tables.left_out) if "snapshots" in log.names else {"snapshots": "none was ever saved", **tables.left_out}
    folders = tables.folders()
    views = [live_view(name, folder) for name, folder in folders.items()]
    target = published_at(log.root) if path is None else Path(path).expanduser()
    with _in_place_of(target) as temporary:
        _write(temporary, [*log.statements, *views, _checkpoints(tables)])
    return Published(target, [*log.names, *folders, "checkpoints"], left_out)


def published_at(warehouse: str) -> Path:
    """Where the database of a warehouse lies by default, whether it is there or not."""
    return Path(warehouse).expanduser() / NAME


def _open_to_views(warehouse: str, tables: Served) -> None:
    if tables.has_letters:
        DeadLetters(warehouse).open_to_views()
    for name, (projection, build) in tables.models.items():
        KeyedTable(Builds(warehouse).uri(name, build.build), name, projection.columns, projection.key).open_to_views()


def _checkpoints(tables: Served) -> str:
    """Of each read model: its build, and the position that its view is at."""
    nothing = "select null::varchar as projection, null::varchar as build, null::bigint as position where false"
    rows = [
        f"select '{name}' as projection, '{build.build}' as build, mark as position from ({live_mark(tables.folders()[name], name)})"
        for name, (_, build) in tables.models.items()
    ]
    return f"create view checkpoints as {' union all '.join([nothing, *rows])}"


def _write(path: Path, statements: Sequence[str]) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"attach {_quoted(str(path))} as published (storage_version '{STORAGE_VERSION}')")
        connection.execute("use published")
        for statement in statements:
            connection.execute(statement)
        connection.execute("use memory")
        connection.execute("detach published")


@contextmanager
def _in_place_of(target: Path) -> Iterator[Path]:
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
