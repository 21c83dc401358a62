"""Read models as tables of a DuckDB session."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from projections.models.read_model import ReadModel
from projections.models.serving_model import ServingModel


def as_views(connection: duckdb.DuckDBPyConnection, models: Sequence[ReadModel | ServingModel]) -> None:
    """Make a view of each read model, called like its projection, over the rows that it has now; do it again to see newer ones.

    A view holds one committed state: of a directory its files, which stay for ten minutes at least; of a bucket its rows, in memory.
    """
    for model in models:
        read = model.now() if isinstance(model, ServingModel) else model
        name, files = read.projection.name, read.files()
        if not files or "://" in files[0]:         # DuckDB takes one filesystem for all buckets, and ours knows one table
            connection.register(name, read.rows())
        else:
            source = f"read_parquet([{_listed(files)}], hive_partitioning = false)"
            connection.execute(f'create or replace view "{name}" as select {_columns(connection, read)} from {source}')


def _columns(connection: duckdb.DuckDBPyConnection, model: ReadModel) -> str:
    columns = model.projection.columns
    types = connection.from_arrow(columns.empty_table()).types
    return ", ".join(f'cast("{name}" as {type}) as "{name}"' for name, type in zip(columns.names, types, strict=True))


def _listed(files: Sequence[str]) -> str:
    """As patterns that fit nothing else: DuckDB expands each one that it is given."""
    literally = ("".join(f"[{sign}]" if sign in "*?[" else sign for sign in file) for file in files)
    return ", ".join("'" + file.replace("'", "''") + "'" for file in literally)
