"""A typed table says what its events say, without JSON."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import ApplyError, DeclarationError, MemoryModel, ReadModel, catch_up, fill_by_shard, rebuild, status, typed_table, typed_tables
from store import Event, EventType, EventTypes, InvalidEventError, MemoryEventStore, Rename, Split, Upcast, open_store
from tests.projections.tills import TYPES as TILL_TYPES
from tests.projections.tills import log

MOMENT = datetime(2013, 1, 1, 12, 30, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


class Part(msgspec.Struct, frozen=True):
    what: str
    grams: int = 0


class Sent(msgspec.Struct, frozen=True):
    cents: int
    buyer: str | None = None
    share: float = 0.5
    parts: list[Part] = []


class Lost(msgspec.Struct, frozen=True):
    pass


class Odd(msgspec.Struct, rename="camel"):
    when: datetime
    day: date
    price: Decimal
    colour: Colour
    local_time: Annotated[datetime, msgspec.Meta(tz=False)]
    per_name: dict[str, int]
    part: Part
    other: int | str
    position: int
    event_id: str
    tags: list[str]


class Held(msgspec.Struct):
    odd: Odd


TYPES = EventTypes(
    EventType("Sent", Sent, schema_version=2),
    EventType("Lost", Lost),
    steps=[
        Upcast("Sent", 1, lambda data: {"cents": data["euros"] * 100}),
        Rename("Mailed", 1, to="Sent", to_version=1),
        Split("SentTwice", 1, lambda data: [("Sent", 2, data), ("Lost", 1, {}), ("Sent", 2, data)], into=(("Sent", 2), ("Lost", 1))),
    ],
)
CENTS = st.fixed_dictionaries(
    {"cents": st.integers(-(2**40), 2**40)},
    optional={
        "buyer": st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        "share": st.floats(allow_nan=False, allow_infinity=False),
        "parts": st.lists(st.builds(lambda grams: {"what": "nut", "grams": grams}, st.integers(0, 9)), max_size=2),
    },
)
EUROS = st.fixed_dictionaries({"euros": st.integers(-1000, 1000)})
EVENTS = st.lists(
    st.one_of(
        st.builds(lambda data: Event("Sent", data, schema_version=2, correlation_id="c", tags=["t"]), CENTS),
        st.builds(lambda type, data: Event(type, data), st.sampled_from(["Sent", "Mailed"]), EUROS),
        st.builds(lambda data: Event("SentTwice", data), CENTS),
        st.builds(lambda type: Event(type, {}), st.sampled_from(["Lost", "Noise"])),
    ),
    max_size=20,
)


def told(store: MemoryEventStore) -> list[dict[str, Any]]:
    """The rows of Sent, by Python alone."""
    rows: list[dict[str, Any]] = []
    log = ("position", "stream_id", "version", "event_id", "occurred_at", "recorded_at", "correlation_id", "causation_id", "tags")
    for event in TYPES.upcast(store.read_all().read_all()).to_pylist():
        if event["type"] == "Sent":
            sent = {"buyer": None, "share": 0.5, "parts": [], **msgspec.json.decode(event["data"])}
            piece = 1 + sum(row["position"] == event["position"] for row in rows)
            rows.append({**{name: event[name] for name in log}, "piece": piece, **sent})
    return rows


@settings(max_examples=60, deadline=None)
@given(first=EVENTS, then=EVENTS, size=st.integers(1, 9))
def test_its_rows_are_the_events_for_every_batch_size_and_restart(first: list[Event], then: list[Event], size: int) -> None:
    with MemoryEventStore() as store, tempfile.TemporaryDirectory() as directory:
        sent = typed_table(TYPES, "Sent")
        models = [ReadModel.under(directory, sent), MemoryModel(sent)]
        for events in (first, then):
            store.append("box-1", events)
            for model in models:
                catch_up(store, model, size)
        for model in models:
            assert model.rows().sort_by([("position", "ascending"), ("piece", "ascending")]).to_pylist() == told(store)


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.builds(lambda data: Event("Sent", {"share": 0.25, **data}, schema_version=2), CENTS), max_size=20))
def test_sums_over_it_are_sums_over_the_json(events: list[Event]) -> None:
    with MemoryEventStore() as store:
        store.append("box-1", events)
        model = MemoryModel(typed_table(TYPES, "Sent"))
        catch_up(store, model, 7)
        asked = "sum({}), count({}), min({}), max({}), count(*), coalesce(sum({}), 0)"
        share, parts = "(data ->> 'share')::double", "json_array_length(data -> 'parts')"
        by_json = asked.format("(data ->> 'cents')::bigint", "data ->> 'buyer'", share, share, parts)
        with duckdb.connect() as connection:
            connection.register("sent", model.rows())
            sums = connection.sql(f"select {asked.format('cents', 'buyer', 'share', 'share', 'len(parts)')} from sent").fetchall()
        assert sums == store.sql(f"select {by_json} from events").fetchall()


def test_every_field_has_a_column_that_every_reader_reads(tmp_path: Path) -> None:
    odd = Odd(MOMENT, date(2013, 1, 1), Decimal("1.50"), Colour.RED, MOMENT.replace(tzinfo=None), {"a": 1}, Part("nut"), "x", 7, "e", ["t"])
    types, store = EventTypes(EventType("OddThing", Odd), EventType("HeldThing", Held)), MemoryEventStore()
    store.append("s", [types.event(odd), types.event(Held(odd))])
    table, nested = (ReadModel.under(str(tmp_path), declared) for declared in typed_tables(types))
    catch_up(store, table)
    catch_up(store, nested)
    fields = {
        "when": MOMENT,
        "day": date(2013, 1, 1),
        "price": Decimal("1.5"),
        "colour": "red",
        "local_time": '"2013-01-01T12:30:00"',
        "per_name": '{"a":1}',
        "part": {"what": "nut", "grams": 0},
        "other": '"x"',
        "data_position": 7,
        "data_event_id": "e",
        "data_tags": ["t"],
    }
    assert table.rows(*fields).to_pylist() == [fields]
    assert pl.read_delta(table.uri).select(*fields).to_dicts() == [fields]
    assert DeltaTable(table.uri).to_pyarrow_table(columns=[*fields]).to_pylist() == [fields]
    [found] = nested.rows("odd").to_pylist()
    assert msgspec.json.decode(found["odd"])["localTime"] == "2013-01-01T12:30:00"


def test_they_are_called_after_their_types() -> None:
    assert [table.name for table in typed_tables(TYPES)] == ["sent_events", "lost_events"]
    assert [table.name for table in typed_tables(TYPES, ["Lost"])] == ["lost_events"]
    assert typed_table(TYPES, "Sent", name="sendings").name == "sendings"
    for name, called in {"HTTPRequest": "http_request_events", "order.placed-2": "order_placed_2_events"}.items():
        assert typed_table(EventTypes(EventType(name, Lost)), name).name == called
    assert typed_table(TYPES, "Sent").version == 2


def test_two_types_of_one_name_are_refused() -> None:
    alike = EventTypes(EventType("BoxSent", Sent), EventType("box.sent", Lost))
    with pytest.raises(DeclarationError, match=r"box_sent_events.*'box\.sent'.*a name of its own"):
        typed_tables(alike)


def test_a_type_that_is_not_registered_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="'Mailed' is not registered: take one of the registered types: Sent, Lost"):
        typed_table(TYPES, "Mailed")


def test_a_new_field_needs_a_rebuild_which_fills_it(tmp_path: Path) -> None:
    class Sold(msgspec.Struct):
        cents: int

    class SoldWithTip(Sold):
        tip: int = 5

    store = MemoryEventStore()
    store.append("s", [Event("Sold", {"cents": 1})])
    before, after = (typed_table(EventTypes(EventType("Sold", cls)), "Sold") for cls in (Sold, SoldWithTip))
    rebuild(store, str(tmp_path), before)
    assert status(store, str(tmp_path), after).state == "needs rebuild"
    rebuild(store, str(tmp_path), after)
    assert status(store, str(tmp_path), after).state == "up to date"
    assert ReadModel.under(str(tmp_path), after).rows("cents", "tip").to_pylist() == [{"cents": 1, "tip": 5}]


def test_processes_share_the_work_of_filling_it(tmp_path: Path) -> None:
    warehouse, puts = log(tmp_path, 200), typed_table(TILL_TYPES, "Put")
    filled, caught_up = ReadModel.under(warehouse, puts), MemoryModel(puts)
    fill_by_shard(warehouse, filled)
    with open_store(warehouse) as store:
        catch_up(store, caught_up)
    assert filled.rows().equals(caught_up.rows().sort_by("position"))
    assert filled.row_count() > 50


def test_no_row_is_read_to_add_rows() -> None:
    store, sent = MemoryEventStore(), typed_table(TYPES, "Sent")
    store.append("s", [Event("Sent", {"cents": 1}, schema_version=2)])
    with sent.form.open(sent) as fold:
        touched = fold.touched(store.read_all().read_all())
        assert (len(touched.keys), len(touched.change(sent.columns.empty_table()).rows)) == (0, 1)


def test_an_event_newer_than_this_code_is_named() -> None:
    store = MemoryEventStore()
    store.append("s", [Event("Sent", {"cents": 1}, schema_version=version) for version in (2, 3)])
    with pytest.raises(ApplyError, match="knows version 2 at most") as failure:
        catch_up(store, MemoryModel(typed_table(TYPES, "Sent")))
    assert failure.value.first == failure.value.last == 2


def test_a_typed_table_with_other_columns_is_refused() -> None:
    sent = typed_table(TYPES, "Sent")
    with pytest.raises(DeclarationError, match="typed_table"):
        type(sent)(
            name="sent", version=1, key=sent.key, columns=sent.columns.append(pa.field("more", pa.string())), form=sent.form, event_types=TYPES
        )
    with pytest.raises(DeclarationError, match="lack 'Sent'"):
        type(sent)(name="sent", version=1, key=sent.key, columns=sent.columns, form=sent.form)
