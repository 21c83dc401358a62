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
@pytest.mark.parametrize("count", [0, 1, 3, 300])
def test_rows_are_found_by_few_keys_as_by_many(kind: str, count: int) -> None:
    """Each column of these keys has the values of some other row, too, which is not asked for."""
    type, value = KINDS[kind]
    pairs = [(value(n), n % 7) for n in range(1000)]
    rows = pa.table({"a": pa.array([a for a, _ in pairs], type), "b": pa.array([b for _, b in pairs])})
    keys = rows.slice(77, count).group_by(["a", "b"]).aggregate([])
    wanted = set(zip(keys["a"].to_pylist(), keys["b"].to_pylist(), strict=True))
    assert rows_with(rows, keys, ("a", "b")).to_pylist() == [{"a": a, "b": b} for a, b in pairs if (a, b) in wanted]
    assert rows_without(rows, keys, ("a", "b")).to_pylist() == [{"a": a, "b": b} for a, b in pairs if (a, b) not in wanted]
