"""Parquet files, as a query of DuckDB reads them."""

from __future__ import annotations

from collections.abc import Sequence


def read_parquet(files: Sequence[str]) -> str:
    """Not by hive_partitioning: that takes every `name=value` of the path for a column, also above the warehouse."""
    listed = ", ".join(quoted(literally(file)) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false, filename = true)"


def literally(path: str) -> str:
    """The path as a pattern that fits nothing else: DuckDB expands each one that it is given."""
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
