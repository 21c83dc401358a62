"""Read models as tables of a DuckDB session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import duckdb
import pyarrow as pa

from projections.models.read_model import ReadModel
from projections.models.serving_model import ServingModel


def as_views(connection: duckdb.DuckDBPyConnection, models: Sequence[ReadModel | ServingModel]) -> None:
    """Make a view of each read model, called like its projection, over the rows that it has now; do it again to see newer ones.

    A view holds one committed state: of a directory its files, which stay for ten minutes at least; of a bucket its rows, in memory.
    """
    for model in models:
        read = model.now() if isinstance(model, ServingModel) else model
        name, seen = read.projection.name, view_of(connection, read).source
        if isinstance(seen, str):
            connection.execute(f'create or replace view "{name}" as {seen}')
        else:
            connection.register(name, seen)


class View(NamedTuple):
    """One committed state of a read model, for DuckDB: a select that gives its rows, or the rows; and its checkpoint."""

    source: pa.Table | str
    checkpoint: int


def view_of(connection: duckdb.DuckDBPyConnection, model: ReadModel) -> View:
    """`connection`: any; it is asked how it calls the types of the columns."""
    while True:                                    # a runner may commit between the questions
        checkpoint, files = model.checkpoint(), model.files()
        if files and "://" not in files[0]:
            source: pa.Table | str = f"select {_columns(connection, model)} from read_parquet([{_listed(files)}], hive_partitioning = false)"
        else:                                      # DuckDB takes one filesystem for all buckets, and ours knows one table
            source = model.rows()
        if model.checkpoint() == checkpoint:
            return View(source, checkpoint)


def _columns(connection: duckdb.DuckDBPyConnection, model: ReadModel) -> str:
    columns = model.projection.columns
    types = connection.from_arrow(columns.empty_table()).types
    return ", ".join(f'cast("{name}" as {type}) as "{name}"' for name, type in zip(columns.names, types, strict=True))


def _listed(files: Sequence[str]) -> str:
    """As patterns that fit nothing else: DuckDB expands each one that it is given."""
    literally = ("".join(f"[{sign}]" if sign in "*?[" else sign for sign in file) for file in files)
    return ", ".join("'" + file.replace("'", "''") + "'" for file in literally)
