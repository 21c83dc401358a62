"""Keys as values that can be ordered, as the log of a table keeps them, and as rows are found by them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

Key: TypeAlias = "tuple[Any, ...]"
"""One value for each key column: times as microseconds, dates as days. Two of them are ordered as their rows are."""

_FEW: Final = 1_000
"""So many keys at most are looked for value by value: a fifth of what a join costs, which first copies the column and wakes threads."""
_NUMBER: Final = "#"
"""No column of a keyed table can be called so."""


class Ordered(Sequence[Key]):
    """The keys of sorted rows. One is made only when it is asked for: a search through a million asks for twenty."""

    def __init__(self, rows: pa.Table, key: Sequence[str]) -> None:
        self._columns = [_plain(rows[name].combine_chunks()) for name in key]
        self._count = len(rows)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return tuple(column[place].as_py() for column in self._columns)


def in_order(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows sorted by key. ValueError: a key is null."""
    for name in key:
        if rows[name].null_count:
            raise ValueError(f"{name} is part of the key, and null in {rows[name].null_count} rows")
    return rows.sort_by([(name, "ascending") for name in key]).combine_chunks() if len(rows) > 1 else rows


def rows_with(rows: pa.Table, keys: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows that have one of these keys, in their order."""
    if len(keys) <= _FEW:
        for name in key:
            rows = rows.filter(_among(rows, keys, name))
    return rows if _is_told_apart(keys, key) else rows.take(_places(rows, keys, key, "semi"))


def rows_without(rows: pa.Table, keys: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows that have none of these keys, in their order."""
    if not len(rows) or not len(keys):
        return rows
    return rows.filter(pc.invert(_among(rows, keys, key[0]))) if _is_told_apart(keys, key) else rows.take(_places(rows, keys, key, "anti"))


def text_of(key: Key) -> str:
    return orjson.dumps([str(value) if isinstance(value, Decimal) else value for value in key]).decode()


def key_of(text: str, columns: Sequence[pa.Field]) -> Key:
    """What `text_of` made. ValueError: it is none of these columns."""
    values = orjson.loads(text)
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError(f"{text!r} is no key of {', '.join(column.name for column in columns)}")
    return tuple(Decimal(value) if pa.types.is_decimal(column.type) else value for value, column in zip(values, columns, strict=True))


def _among(rows: pa.Table, keys: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.is_in(rows[name], value_set=keys[name].combine_chunks())


def _is_told_apart(keys: pa.Table, key: Sequence[str]) -> bool:
    """Do the values of one column tell who has these keys?"""
    return len(keys) <= _FEW and len(key) == 1


def _places(rows: pa.Table, keys: pa.Table, key: Sequence[str], how: Any) -> pa.Array:
    # Not by Arrow's join, which takes no lists and structs along.
    there: pl.DataFrame = pl.from_arrow(rows.select(key))
    wanted: pl.DataFrame = pl.from_arrow(keys.select(key))
    numbers = there.with_row_index(_NUMBER).join(wanted, on=list(key), how=how)[_NUMBER]
    return numbers.sort().to_arrow()


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    return column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
