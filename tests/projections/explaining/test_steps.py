"""`steps`: the rows before and after each event of a stream."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from projections import ApplyError, Projection, Sql, as_of, steps
from store import Event, MemoryEventStore


def test_each_event_shows_the_rows_that_it_touches_as_they_were_and_as_they_are(accounts: Projection, store: MemoryEventStore) -> None:
    stepped = list(steps(store, accounts, "account-1"))
    assert [one.event["position"][0].as_py() for one in stepped] == [2, 4, 6, 8]
    assert [one.before["changes"].to_pylist() for one in stepped] == [[], [1], [2], [3]]
    for one in stepped:
        position = one.event["position"][0].as_py()
        for rows, at in ((one.before, position - 1), (one.after, position)):
            whole = as_of(store, accounts, at).rows()
            assert rows.to_pylist() == [row for row in whole.to_pylist() if row["account"] == "account-1"]


def test_events_of_other_streams_in_between_are_applied_too(store: MemoryEventStore) -> None:
    form = Sql("select true as everything, 1 as events from events", {"events": "count"})
    columns = pa.schema({"everything": pa.bool_(), "events": pa.int64()})
    counted = Projection(name="counted", version=1, key=("everything",), columns=columns, form=form)
    assert [one.before["events"].to_pylist() for one in steps(store, counted, "account-1")] == [[1], [3], [5], [7]]
    assert [one.after["events"].to_pylist() for one in steps(store, counted, "account-0")] == [[1], [3], [5], [7], [9]]


def test_of_a_projection_by_stream_no_other_stream_is_folded(accounts: Projection, store: MemoryEventStore) -> None:
    store.append("account-9", [Event("Deposited", {"amount": "none"})])   # it cannot be applied
    store.append("account-1", [Event("Deposited", {"amount": 1})])
    alone = replace(accounts, by_stream=True)
    assert [one.after["changes"].to_pylist() for one in steps(store, alone, "account-1")] == [[1], [2], [3], [4], [5]]
    with pytest.raises(ApplyError, match="position 10"):
        list(steps(store, accounts, "account-1"))


def test_an_event_that_cannot_be_applied_is_named_after_those_before_it(accounts: Projection, store: MemoryEventStore) -> None:
    store.append("account-1", [Event("Deposited", {"amount": "none"})])
    stepping = steps(store, accounts, "account-1", after=3)
    assert next(stepping).after["changes"].to_pylist() == [4]
    with pytest.raises(ApplyError, match="event at position 10"):
        next(stepping)


def test_events_that_it_does_not_read_are_no_steps(accounts: Projection, store: MemoryEventStore) -> None:
    assert "Renamed" in store.read_stream("account-0")["type"].to_pylist()
    assert [one.event["type"][0].as_py() for one in steps(store, accounts, "account-0", after=3)] == ["Withdrawn"]
    assert list(steps(store, replace(accounts, categories=("other",)), "account-0")) == []


def test_as_many_as_one_asks_for(accounts: Projection, store: MemoryEventStore) -> None:
    assert len(list(steps(store, accounts, "account-1", after=1, limit=2))) == 2
    with pytest.raises(ValueError, match="limit -1"):
        list(steps(store, accounts, "account-1", limit=-1))
