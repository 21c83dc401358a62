"""A projection sees every event in its newest shape, whatever it was called and how it looked when it was recorded."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import ApplyError, Projection, ReadModel, Sql, catch_up
from projections.running.batches import Bounds, batches
from store import Event, EventType, EventTypes, MemoryEventStore, Rename, Split, Upcast


class Paid(msgspec.Struct):
    cents: int


class Refunded(msgspec.Struct):
    cents: int


def halves(data: dict[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    return [("Paid", 2, {"cents": data["paid"]}), ("Refunded", 1, {"cents": data["refunded"]}), ("Paid", 2, {"cents": 1})]


TYPES = EventTypes(
    EventType("Paid", Paid, schema_version=2),
    EventType("Refunded", Refunded),
    steps=[
        Upcast("Paid", 1, lambda data: {"cents": data["euros"] * 100}),
        Rename("Bought", 1, to="Paid", to_version=1),
        Split("Settled", 1, halves, into=(("Paid", 2), ("Refunded", 1))),
    ],
)

PAYMENTS = Projection(
    name="payments",
    version=1,
    key=("payer",),
    types=("Paid",),
    event_types=TYPES,
    columns=pa.schema({"payer": pa.string(), "payments": pa.int64(), "cents": pa.int64(), "types": pa.string()}),
    form=Sql(
        "select stream_id as payer, 1 as payments, (data ->> 'cents')::bigint as cents, max(type) over () as types from events",
        {"payments": "count", "cents": "sum", "types": "max"},
    ),
)


@pytest.fixture
def old() -> MemoryEventStore:
    store = MemoryEventStore()
    store.append("ada", [Event("Paid", {"euros": 3}), Event("Noise", {}), Event("Bought", {"euros": 2})])
    settled, paid, refunded = {"paid": 50, "refunded": 20}, {"cents": 7}, {"cents": 1}
    store.append("bob", [Event("Settled", settled), Event("Paid", paid, schema_version=2), Event("Refunded", refunded)])
    return store


@pytest.mark.parametrize("batch_events", [1, 2, 100])
def test_old_events_are_found_under_their_old_names_and_lifted(old: MemoryEventStore, tmp_path: Path, batch_events: int) -> None:
    model = ReadModel.under(str(tmp_path), PAYMENTS)
    done = catch_up(old, model, batch_events)
    assert model.rows().sort_by("payer").to_pylist() == [
        {"payer": "ada", "payments": 2, "cents": 500, "types": "Paid"},
        {"payer": "bob", "payments": 3, "cents": 58, "types": "Paid"},
    ]
    assert (done.events, done.checkpoint) == (4, 6)


def test_without_types_all_events_are_seen_and_lifted(old: MemoryEventStore, tmp_path: Path) -> None:
    select = "select type as payer, 1 as payments, (data ->> 'cents')::bigint as cents, type as types from events"
    model = ReadModel.under(str(tmp_path), replace(PAYMENTS, types=None, form=replace(PAYMENTS.form, select=select)))
    catch_up(old, model)
    seen = {row["payer"]: (row["payments"], row["cents"]) for row in model.rows().to_pylist()}
    assert seen == {"Noise": (1, None), "Paid": (5, 558), "Refunded": (2, 21)}


def test_a_batch_whose_events_are_all_of_other_types_now_moves_the_checkpoint(tmp_path: Path) -> None:
    store = MemoryEventStore()
    into_nothing = Split("Settled", 1, lambda data: [], into=(("Paid", 2),))
    types = EventTypes(*TYPES, steps=[*TYPES.steps[:2], into_nothing])
    model = ReadModel.under(str(tmp_path), replace(PAYMENTS, event_types=types))
    store.append("ada", [Event("Settled", {})])
    assert catch_up(store, model).rows == 0
    assert (model.checkpoint(), model.row_count()) == (1, 0)


def test_an_event_that_cannot_be_lifted_is_named(old: MemoryEventStore, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), PAYMENTS)
    catch_up(old, model)
    old.append("eve", [Event("Paid", {"cents": 1}, schema_version=2), Event("Bought", {"dollars": 2})])
    with pytest.raises(ApplyError, match="KeyError: 'euros'") as failure:
        catch_up(old, model)
    assert (failure.value.first, failure.value.last, failure.value.stream_id, failure.value.type) == (8, 8, "eve", "Bought")
    assert model.checkpoint() == 6


SIZES = st.lists(st.integers(0, 400), max_size=30)


@settings(max_examples=60, deadline=None)
@given(sizes=SIZES, events=st.integers(1, 12), data_bytes=st.integers(1, 3000))
def test_a_batch_keeps_its_bounds_of_events_and_bytes(sizes: list[int], events: int, data_bytes: int) -> None:
    """But for a single event, which may be larger; and no batch ends before it must."""
    store = MemoryEventStore()
    for size in sizes:
        store.append("ada", [Event("Noise", {"text": "x" * size})])
    model = replace(PAYMENTS, types=None, event_types=None)
    cut = [batch for batch, _ in batches(store, model, 0, store.head(), Bounds(events, data_bytes))]
    assert [position for batch in cut for position in batch["position"].to_pylist()] == list(range(1, len(sizes) + 1))
    for batch in cut:
        assert len(batch) <= events
        assert len(batch) <= 1 or taken(batch) <= data_bytes
    for batch, following in pairwise(cut):
        assert len(batch) == events or taken(batch) + taken(following.slice(0, 1)) > data_bytes


def taken(batch: pa.Table) -> int:
    return sum(len(data) + 200 for data in batch["data"].to_pylist())


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0)])
def test_bounds_that_no_event_keeps_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="can hold none: give at least 1 of each"):
        Bounds(*bounds)
