"""The warehouse as a DuckDB database that any tool opens, with nothing of ours: views and macros that follow the tables by themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from projections.granted_copy import granted_copy
from projections.models.builds import Builds
from projections.models.dead_letters import DeadLetters
from projections.projection import Projection
from projections.published_file import Published, in_place_of, write
from projections.served import Served, served
from store import Grant, KeyedTable, live_log, live_mark, live_view

NAME: Final = "warehouse.duckdb"


def publish_sql(
    warehouse: str, projections: Sequence[Projection] = (), path: str | os.PathLike[str] | None = None, *, grant: Grant | None = None
) -> Published:
    """Write a DuckDB database with a view of each table, and the macros of the log, in the place of the one that is there; whole, or not at all.

    It has no rows of its own. `events`, `snapshots` and `dead_letters` are at their newest commit whenever they are asked, and so are these read
    models and those of every warehouse, of the builds that serve now: publish it again after a switch, and when something is made that was left out.
    `checkpoints` tells how far each is. Who has the old file open keeps the old views. `path`: by default `warehouse.duckdb` in the warehouse.

    `grant`: for who may see that much, and cannot read the warehouse. Then it holds rows instead, those that are granted, as they are now: the
    log, the tables that the grant names, the macros that its columns suffice for. Nothing in it leads to the warehouse. It needs a `path`, and
    memory for all of it.

    PublishError: the file cannot be written, or two views would have one name. TableRefusedError: see `store.live_log`.
    """
    if grant is not None:
        return granted_copy(warehouse, projections, path, grant)
    tables, log = served(warehouse, projections), live_log(warehouse)
    _open_to_views(warehouse, tables)
    left_out = dict(tables.left_out) if "snapshots" in log.names else {"snapshots": "none was ever saved", **tables.left_out}
    folders = tables.folders()
    views = [live_view(name, folder) for name, folder in folders.items()]
    target = published_at(log.root) if path is None else Path(path).expanduser()
    with in_place_of(target) as temporary:
        write(temporary, [*log.statements, *views, _checkpoints(tables)], {})
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
