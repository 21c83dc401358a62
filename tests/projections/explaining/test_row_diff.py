"""`diff`: rows added, removed and changed, told apart by their key."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections import KeyRefusedError, MemoryModel, Projection, catch_up, diff, diff_tables
from store import Event, MemoryEventStore

COLUMNS = pa.schema({"k": pa.string(), "n": pa.int64(), "x": pa.float64()})
CELLS = st.tuples(st.none() | st.integers(0, 2), st.none() | st.sampled_from([0.0, 1.0, math.nan]))
ROWS = st.dictionaries(st.sampled_from("abcdef"), CELLS)


def table(rows: dict[str, tuple[int | None, float | None]]) -> pa.Table:
    return pa.Table.from_pylist([{"k": k, "n": n, "x": x} for k, (n, x) in rows.items()], schema=COLUMNS)


def alike(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)                # NaN and null for themselves


@given(before=ROWS, after=ROWS)
def test_every_row_is_added_removed_changed_or_the_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = diff_tables(table(before), table(after), ["k"])
    both = [k for k in before if k in after]
    assert alike(found.added.to_pylist(), table({k: v for k, v in after.items() if k not in before}).to_pylist())
    assert alike(found.removed.to_pylist(), table({k: v for k, v in before.items() if k not in after}).to_pylist())
    expected = [
        {"k": k} | {c: {"before": b, "after": a} if not alike(b, a) else None for c, b, a in zip("nx", before[k], after[k], strict=True)}
        for k in both
        if not alike(before[k], after[k])
    ]
    names = found.changed.column_names
    assert alike(found.changed.to_pylist(), [{name: row[name] for name in names} for row in expected])
    assert all(row[c] is None for row in expected for c in "nx" if c not in names)
    assert (found.same, found.is_empty) == (len(both) - len(expected), alike(table(before).sort_by("k"), table(after).sort_by("k")))


def test_values_of_every_type_come_out_as_they_are() -> None:
    at = datetime(2013, 1, 1, tzinfo=UTC)
    cases = [
        (pa.string(), "a", "b"),
        (pa.bool_(), True, False),
        (pa.int32(), 1, 2),
        (pa.date32(), date(2013, 1, 1), date(2013, 1, 2)),
        (pa.timestamp("us", tz="UTC"), at, at.replace(hour=1)),
        (pa.decimal128(12, 2), Decimal("1.00"), Decimal("1.01")),
    ]
    for kind, was, is_ in cases:
        schema = pa.schema({"k": pa.int64(), "v": kind})
        before, after = (pa.Table.from_pylist([{"k": 1, "v": value}], schema=schema) for value in (was, is_))
        found = diff_tables(before, after, ["k"])
        assert found.changed.schema.field("v").type == pa.struct([("before", kind), ("after", kind)])
        assert found.changed.to_pylist() == [{"k": 1, "v": {"before": was, "after": is_}}]
        assert diff_tables(before, before, ["k"]).is_empty


def test_columns_of_one_side_or_of_other_types_are_told_not_compared() -> None:
    before = pa.table({"k": [1], "wider": pa.array([1], pa.int32()), "code": ["7"], "old": [1]})
    after = pa.table({"k": [1], "wider": pa.array([2], pa.int64()), "code": [7], "new": [1]})
    found = diff_tables(before, after, ["k"])
    assert found.apart == {"code": (pa.string(), pa.int64()), "old": (pa.int64(), None), "new": (None, pa.int64())}
    assert found.changed.to_pylist() == [{"k": 1, "wider": {"before": 1, "after": 2}}]
    assert "not compared: code (string before, int64 after), old (int64 before, not there after)" in str(found)


def test_a_diff_is_told_in_lines_and_as_a_table() -> None:
    found = diff_tables(table({"a": (1, None), "b": (1, 1.0), "c": (1, 1.0)}), table({"b": (2, 1.0), "c": (1, 1.0), "d": (4, None)}), ["k"])
    assert str(found).splitlines() == ["1 added, 1 removed, 1 changed (n 1), 1 the same", "+ k=d n=4", "− k=a n=1", "~ k=b n=1 → 2"]
    assert [list(row.values()) for row in found.table().to_pylist()] == [["+", "d", "4"], ["−", "a", "1"], ["~", "b", "1 → 2"]]
    assert "1 → 2" in found._repr_html_()
    many = diff_tables(table({}), table({str(k): (1, None) for k in range(30)}), ["k"])
    assert str(many).splitlines()[-1] == "… and 20 more"
    assert (len(many.table(rows=5)), len(many.table())) == (5, 30)


def test_two_versions_of_a_read_model_are_compared(accounts: Projection, store: MemoryEventStore) -> None:
    before, after = MemoryModel(accounts), MemoryModel(replace(accounts, version=2))
    catch_up(store, before)
    store.append("account-0", [Event("Deposited", {"amount": 5}, occurred_at=datetime.now(UTC))])
    catch_up(store, after)
    found = diff(before, after)
    assert (len(found.added) + len(found.changed), len(found.removed)) == (1, 0)
    with pytest.raises(KeyRefusedError, match="has the key account, not account, day"):
        diff(before, MemoryModel(replace(accounts, key=("account",), form=replace(accounts.form, combine={**accounts.form.combine, "day": "last"}))))  # type: ignore[type-var, attr-defined]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"k": [1]}, {"j": [1]}, "after has no column k: take a key of j"),
        ({"k": [1, 1]}, {"k": [1]}, "before has rows that k does not tell apart"),
        ({"k": [1]}, {"k": [None]}, "after has rows that k does not tell apart"),
        ({"k": [1]}, {"k": ["1"]}, "after has another type of k than before"),
    ],
)
def test_a_key_that_does_not_tell_rows_apart_is_refused(before: dict[str, Any], after: dict[str, Any], told: str) -> None:
    with pytest.raises(KeyRefusedError, match=told):
        diff_tables(pa.table(before), pa.table(after), ["k"])
