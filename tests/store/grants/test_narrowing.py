"""What a query asks of granted rows reaches the select that reads them, so that files are left out; and nothing is taken for more than it says."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from store import EVERY, Event, EventStore, Grant, MemoryEventStore
from store.grants import narrowing
from store.grants.granted_rows import Scans
from store.grants.narrowing import narrowed
from store.schema import EVENTS

stream_id, type_, position = pc.field("stream_id"), pc.field("type"), pc.field("position")


@pytest.fixture
def store() -> Iterator[EventStore]:
    with MemoryEventStore() as store:
        store.append("order-1", [Event("Placed", {"amount": 1}), Event("Paid", {})])
        yield store


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The selects that read granted rows."""
    selects: list[str] = []
    rows = Scans.rows

    def noted(scans: Scans, select: str, schema: pa.Schema) -> pa.RecordBatchReader:
        selects.append(select)
        return rows(scans, select, schema)

    monkeypatch.setattr(Scans, "rows", noted)
    return selects


@pytest.mark.parametrize(
    ("query", "conditions"),
    [
        ("from stream('order-1')", ["\"stream_id\" = 'order-1'", "_shard in ('h'"]),
        ("from replay(3, 9)", ['"position" > 3', '"position" <= 9', "_last > 3", "_first <= 9"]),
        ("from of_type('Paid')", ["\"type\" = 'Paid'"]),
        ("from category('order')", ["\"stream_id\" >= 'order'", "\"stream_id\" < 'order.'"]),
        ("from state('order')", ["\"stream_id\" >= 'order'", "\"stream_id\" < 'order.'"]),
        ("from events where position = 2", ["_first <= 2", "_last >= 2"]),
        ("from events where type = 'Paid' and stream_id = 'order-1' and data ->> 'n' = '1'", ["\"type\" = 'Paid'", "\"stream_id\" = 'order-1'"]),
    ],
)  # fmt: skip
def test_what_a_query_asks_is_told_to_who_reads(store: EventStore, read: list[str], query: str, conditions: list[str]) -> None:
    store.ask(query, grant=Grant(categories=[EVERY], data=EVERY))
    [select] = read
    for condition in conditions:
        assert condition in select


def test_a_column_that_a_query_does_not_name_is_not_read(store: EventStore, read: list[str]) -> None:
    store.ask("select count(*) from events where type = 'Paid'", grant=Grant(categories=[EVERY], data=EVERY))
    [select] = read
    assert "data" not in select.partition(" from (")[0]


@pytest.mark.parametrize(
    ("filter", "conditions"),
    [
        (stream_id == "a", "\"stream_id\" = 'a'"), (type_ == "it's", "\"type\" = 'it''s'"), ((position > 1) & (position <= 9), '"position" <= 9'),
        ((type_ == "a and b") & (position > 1), "\"type\" = 'a and b'"), ((type_ == "(x == 1)") & (position > 1), "\"type\" = '(x == 1)'"),
    ],
)  # fmt: skip
def test_comparisons_become_conditions(filter: pc.Expression, conditions: str) -> None:
    assert conditions in narrowed(filter, EVENTS, True)


@pytest.mark.parametrize(
    "filter",
    [
        None, (type_ == "a") | (position > 1), ~(type_ == "a"), type_.isin(["a", "b"]), type_ == 'quo"te', type_ == "back\\slash", type_.is_valid(),
        pc.field("nobody") == "a", (type_ == "a") & type_.isin(['x" and (type == "y']), pc.starts_with(type_, "a"),
        type_ == 'x") and (position > 5) and (type == "y', type_ == "long" * narrowing.LONGEST,
    ],
)  # fmt: skip
def test_what_is_not_understood_narrows_nothing(filter: pc.Expression | None) -> None:
    assert narrowed(filter, EVENTS, True) == "true"


def test_a_number_is_compared_with_numbers_only() -> None:
    assert narrowed(pc.field("type") == "1", pa.schema({"type": pa.int64()}), False) == "true"
