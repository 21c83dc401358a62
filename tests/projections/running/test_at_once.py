from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import ApplyError, MemoryModel, Projection, Sql, catch_up, fill
from projections.running.at_once import at_once
from store import Event, EventStore, EventType, EventTypes, MemoryEventStore, Upcast, open_store
from tests.projections.running.test_runner import CHANGES, record


def rows(model: MemoryModel) -> list[dict[str, Any]]:
    return list(model.rows().sort_by([(name, "ascending") for name in model.projection.key]).to_pylist())


@settings(max_examples=25, deadline=None)
@given(changes=CHANGES, categories=st.sampled_from([None, ("account",), ("other", "it's")]), until=st.integers(0, 30))
def test_one_query_of_the_log_gives_the_rows_of_all_batches(accounts: Projection, changes: Any, categories: Any, until: int) -> None:
    store, projection = MemoryEventStore(), replace(accounts, categories=categories)
    record(store, changes)
    batch_by_batch = MemoryModel(projection)
    done = catch_up(store, batch_by_batch, batch_events=3, until=min(until, store.head()))
    made = at_once(store, projection, min(until, store.head()))
    assert made is not None
    assert (made.rows.sort_by([("account", "ascending"), ("day", "ascending")]).to_pylist(), made.events) == (rows(batch_by_batch), done.events)


def test_a_log_on_disk_is_read_so_too(tmp_path: Any, accounts: Projection) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append("account-a", [Event("Deposited", {"amount": amount, "note": None}) for amount in (3, 4)])
        model = MemoryModel(accounts)
        assert (fill(store, model).events, rows(model)[0]["balance"]) == (2, 7)


def deposits(*events: Event) -> EventStore:
    store = MemoryEventStore()
    store.append("a", [*events])
    return store


SUM = Sql("select data ->> 'to' as account, (data ->> 'amount')::bigint as total from events", {"total": "sum"})
SUMS = Projection(name="sums", version=1, key=("account",), columns=pa.schema({"account": pa.string(), "total": pa.int64()}), form=SUM)


@pytest.mark.parametrize("bad", [{"to": "x", "amount": "much"}, {"amount": 1}])
def test_what_the_query_fails_on_is_left_to_the_batches_which_tell_of_it(bad: dict[str, Any]) -> None:
    store = deposits(Event("Deposited", {"to": "x", "amount": 1}), Event("Deposited", bad))
    assert at_once(store, SUMS, 2) is None
    with pytest.raises(ApplyError, match=r"much|no account"):
        fill(store, MemoryModel(SUMS))


def test_events_that_have_to_be_lifted_are_left_to_the_batches() -> None:
    cls = msgspec.defstruct("Deposited", [("to", str), ("amount", int)])
    types = EventTypes(EventType("Deposited", cls, schema_version=2), steps=[Upcast("Deposited", 1, lambda data: {**data, "amount": 10})])
    store, projection = deposits(Event("Deposited", {"to": "x", "amount": 1})), replace(SUMS, event_types=types)
    assert at_once(store, projection, 1) is None
    model = MemoryModel(projection)
    fill(store, model)
    assert rows(model) == [{"account": "x", "total": 10}]
