"""Rows found by their keys."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from store import rows_with, rows_without

KINDS: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "string": (pa.string(), str),
    "int32": (pa.int32(), int),
    "bool": (pa.bool_(), lambda n: n % 2 == 0),
    "date": (pa.date32(), lambda n: date(2013, 1, 1) + timedelta(days=n)),
    "timestamp": (pa.timestamp("us", tz="UTC"), lambda n: datetime(2013, 1, 1, tzinfo=UTC) + timedelta(seconds=n)),
    "decimal": (pa.decimal128(12, 2), Decimal),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", [("a", "b"), ("a",)])
@pytest.mark.parametrize("count", [0, 1, 3, 1500])
def test_rows_are_found_by_few_keys_as_by_many(kind: str, key: tuple[str, ...], count: int) -> None:
    """Of two columns each has the values of some other row, too, which is not asked for."""
    type, value = KINDS[kind]
    given = [{"a": value(n), "b": n % 7} for n in range(2000)]
    rows = pa.Table.from_pylist(given, schema=pa.schema({"a": type, "b": pa.int64()}))
    keys = rows.slice(77, count).group_by(list(key)).aggregate([])
    wanted = {tuple(row.values()) for row in keys.select(key).to_pylist()}
    found = [tuple(row[name] for name in key) in wanted for row in given]
    assert rows_with(rows, keys, key).to_pylist() == [row for row, is_wanted in zip(given, found, strict=True) if is_wanted]
    assert rows_without(rows, keys, key).to_pylist() == [row for row, is_wanted in zip(given, found, strict=True) if not is_wanted]
