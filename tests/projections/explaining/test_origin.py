"""`why`: which events made this row."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import Frame, Handlers, KeyRefusedError, MemoryModel, Projection, Sql, catch_up, why
from projections.explaining import origin
from projections.forms.form import Form
from projections.running.batches import Bounds
from store import Event, EventType, EventTypes, MemoryEventStore


class Put(msgspec.Struct, frozen=True):
    on: str


TYPES = EventTypes(EventType("Put", Put))
COLUMNS = pa.schema({"shelf": pa.string(), "books": pa.int64()})


def shelves(events: pl.DataFrame) -> pl.DataFrame:
    on = pl.col("data").str.json_decode(pl.Struct({"on": pl.String})).struct.field("on")
    return events.select(shelf=on, books=pl.lit(1, pl.Int64))


def put(row: dict[str, Any] | None, event: Put, place: object) -> dict[str, Any]:
    return {"shelf": event.on, "books": 1 + (row["books"] if row else 0)}


FORMS: dict[str, tuple[Form, tuple[str, ...] | None]] = {
    "sql": (Sql("select data ->> 'on' as shelf, 1 as books from events", {"books": "count"}), ("Put",)),
    "frame": (Frame(shelves, lambda current, events: pl.concat([current, shelves(events)]).group_by("shelf").sum()), ("Put",)),
    "handlers": (Handlers(on={Put: put}, key=lambda event, place: event.on), None),
}


@pytest.fixture(params=FORMS)
def shelved(request: pytest.FixtureRequest) -> Projection:
    form, types = FORMS[request.param]
    return Projection(name="shelved", version=1, key=("shelf",), columns=COLUMNS, types=types, event_types=TYPES, form=form)


def filled(shelves: str) -> MemoryEventStore:
    store = MemoryEventStore()
    for number, shelf in enumerate(shelves):
        store.append(f"book-{number}", [Event("Put", {"on": shelf}), Event("Lost", {})])
    return store


@settings(max_examples=20, deadline=None)
@given(on=st.text("abc", max_size=40), events=st.integers(1, 20))
@pytest.mark.parametrize("form", FORMS)
def test_the_events_of_a_row_make_that_row_and_no_others_do(form: str, on: str, events: int) -> None:
    chosen, types = FORMS[form]
    shelved = Projection(name="shelved", version=1, key=("shelf",), columns=COLUMNS, types=types, event_types=TYPES, form=chosen)
    store, model = filled(on), MemoryModel(shelved)
    catch_up(store, model)
    rows = {row["shelf"]: row["books"] for row in model.rows().to_pylist()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(origin, "Bounds", lambda: Bounds(events))
        for shelf in "abc":
            found = why(store, shelved, {"shelf": shelf})
            assert found["position"].to_pylist() == [2 * number + 1 for number, there in enumerate(on) if there == shelf]
            assert len(found) == rows.get(shelf, 0)


def test_the_columns_are_those_of_the_log(shelved: Projection) -> None:
    store = filled("ab")
    assert why(store, shelved, {"shelf": "b"}) == store.read_stream("book-1").slice(0, 1)
    assert why(store, shelved, {"shelf": "z"}) == store.read_stream("none")


def test_the_first_are_given_and_the_next_past_them(shelved: Projection) -> None:
    store = filled("aabaa")
    first = why(store, shelved, {"shelf": "a"}, limit=2)
    assert first["position"].to_pylist() == [1, 3]
    assert why(store, shelved, {"shelf": "a"}, after=3)["position"].to_pylist() == [7, 9]
    assert len(why(store, shelved, {"shelf": "a"}, limit=0)) == 0


def test_a_key_of_several_columns_is_given_by_their_names(accounts: Projection, store: MemoryEventStore) -> None:
    day = store.read_all().read_all()["occurred_at"][0].as_py().date()
    assert why(store, accounts, {"day": day, "account": "account-1"})["stream_id"].unique().to_pylist() == ["account-1"]


@pytest.mark.parametrize("key", [{}, {"account": "a"}, {"account": "a", "day": "2013-01-01"}, {"account": "a", "days": date(2013, 1, 1)},
                                 {"account": None, "day": date(2013, 1, 1)}, {"account": "a", "day": date(2013, 1, 1), "note": "n"}])  # fmt: skip
def test_another_key_is_refused_with_what_to_give(accounts: Projection, store: MemoryEventStore, key: dict[str, Any]) -> None:
    with pytest.raises(KeyRefusedError, match=r"projection 'accounts' has no key .*: give account \(string\), day \(date32"):
        why(store, accounts, key)
