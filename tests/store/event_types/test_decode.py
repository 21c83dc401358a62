"""Reading events: objects out of rows, old shapes lifted, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from store import Event, EventType, EventTypes, InvalidEventError, MemoryEventStore, RawEvent, Split, UnreadableEventError, Upcast
from tests.store.event_types.flights import NOON, Booked, Departed, Paid, Row, log, types

TYPES = types()
OLD = {"flight": "UA1", "at": "2013-01-01T12:00:00Z"}


def test_decode_keeps_the_order_over_types() -> None:
    objects = [Departed("UA1", NOON), Booked("UA1", Row(1)), Departed("UA2", NOON, 5), Paid(amount=Decimal(1))]
    assert TYPES.decode(log(*map(TYPES.event, objects))) == objects


def test_decode_lifts_every_older_version() -> None:
    events = log(Event("Departed", OLD), Event("Departed", OLD | {"delay": 120}, schema_version=2), TYPES.event(Departed("UA3", NOON, 3)))
    assert TYPES.decode(events) == [Departed("UA1", NOON), Departed("UA1", NOON, 2), Departed("UA3", NOON, 3)]


def test_decode_reads_a_renamed_type_as_the_new_one() -> None:
    assert TYPES.decode(log(Event("Sold", {"flight": "UA1", "seat": 7}))) == [Booked("UA1", Row(7))]


def test_decode_gives_all_of_a_split_event_in_order() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Group", {"flight": "UA1", "seats": [1, 2]}), TYPES.event(Departed("UA2", NOON)))
    assert TYPES.decode(events) == [
        Departed("UA1", NOON), Booked("UA1", Row(1)), Booked("UA1", Row(2)), Paid(amount=Decimal("9.50")), Departed("UA2", NOON),
    ]


def test_decode_gives_nothing_for_an_event_that_splits_into_nothing() -> None:
    assert TYPES.decode(log(Event("Group", {"flight": "UA1", "seats": []}), TYPES.event(Departed("UA2", NOON)))) == [Departed("UA2", NOON)]


@pytest.mark.parametrize(("name", "version"), [("Unheard", 1), ("Departed", 4), ("Sold", 2), ("Group", 9)])
def test_decode_gives_unknown_and_newer_events_raw(name: str, version: int) -> None:
    (event,) = TYPES.decode(log(Event(name, {"a": [1, None]}, schema_version=version)))
    assert event == RawEvent(name, version, b'{"a":[1,null]}')
    assert event.payload() == {"a": [1, None]}


def test_decode_overlooks_fields_it_does_not_know() -> None:
    data = json.dumps({"flight": "UA1", "seat": {"number": 1, "legroom": 2}, "miles": 3}).encode()
    assert TYPES.decode(log(Event("Booked", data, schema_version=2))) == [Booked("UA1", Row(1))]


@pytest.mark.parametrize("columns", [["type", "schema_version", "data"], ["data", "position", "schema_version", "type"]])
def test_decode_needs_three_columns_only(columns: list[str]) -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Departed", OLD))
    assert TYPES.decode(events.select(columns)) == TYPES.decode(events)


def test_decode_takes_record_batches() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Group", {"flight": "UA1", "seats": [1, 2]}))
    (batch,) = events.to_batches()
    assert TYPES.decode(batch) == TYPES.decode(events)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_strings_of_other_engines_are_read_alike(kind: pa.DataType) -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Group", {"flight": "UA1", "seats": [1, 2]}))
    foreign = events
    for name in ("type", "data"):
        column = events[name].dictionary_encode() if pa.types.is_dictionary(kind) else events[name].cast(kind)
        foreign = foreign.set_column(events.schema.names.index(name), name, column)
    assert TYPES.decode(foreign) == TYPES.decode(events)
    assert TYPES.upcast(foreign).to_pylist() == TYPES.upcast(events).to_pylist()
    assert TYPES.columns(foreign, "Booked").equals(TYPES.columns(events, "Booked"))


def test_decode_of_no_events_is_empty() -> None:
    assert TYPES.decode(log()) == []


def test_decode_refuses_a_table_without_the_columns() -> None:
    with pytest.raises(InvalidEventError, match="are no Arrow table: give what the store reads"):
        TYPES.decode([Event("Departed", OLD)])  # type: ignore[arg-type]
    with pytest.raises(InvalidEventError, match="lack the column schema_version: select at least type, schema_version, data"):
        TYPES.decode(pa.table({"type": ["Departed"], "data": ["{}"]}))


def test_upcast_keeps_the_columns_and_the_rows_that_are_new() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Unheard", {}), Event("Departed", OLD, schema_version=9))
    assert TYPES.upcast(events).equals(events)
    assert TYPES.upcast(log()).schema == events.schema


def test_upcast_changes_type_version_and_data_alone() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Sold", {"flight": "UA1", "seat": 7}, tags=["x"], metadata={"by": "me"}))
    before, after = events.to_pylist()[1], TYPES.upcast(events).to_pylist()[1]
    assert {name: after[name] for name in before if after[name] != before[name]} == {
        "type": "Booked", "schema_version": 2, "data": '{"flight":"UA1","seat":{"number":7}}',
    }


def test_upcast_repeats_the_place_of_a_split_event() -> None:
    events = log(TYPES.event(Departed("UA1", NOON)), Event("Group", {"flight": "UA1", "seats": [1]}), Event("Sold", {"flight": "UA1", "seat": 7}))
    upcast = TYPES.upcast(events)
    assert upcast["position"].to_pylist() == upcast["version"].to_pylist() == [1, 2, 2, 3]
    assert upcast["type"].to_pylist() == ["Departed", "Booked", "Paid", "Booked"]
    assert upcast["event_id"][1] == upcast["event_id"][2] == events["event_id"][1]


def test_an_integer_of_any_length_comes_through_the_steps() -> None:
    """The log may hold one: an append takes the bytes of any JSON object."""
    class Counted(msgspec.Struct):
        n: int

    known = EventTypes(EventType("Counted", Counted, schema_version=2), steps=[Upcast("Counted", 1, lambda data: data)])
    assert known.decode(log(Event("Counted", b'{"n":123456789012345678901234567890}'))) == [Counted(123456789012345678901234567890)]


def test_upcast_leaves_the_log_as_it_is() -> None:
    with MemoryEventStore() as store:
        store.append("a", [Event("Departed", OLD)])
        TYPES.upcast(store.read_stream("a"))
        assert store.read_stream("a")["schema_version"].to_pylist() == [1]


def test_a_step_gets_data_of_its_own() -> None:
    """A step that changes what it gets spoils nothing, not even its second reading."""
    popping = EventTypes(EventType("Departed", Departed, schema_version=2), steps=[Upcast("Departed", 1, lambda data: data.pop("data"))])
    events = log(Event("Departed", {"data": OLD}))
    assert popping.decode(events) == popping.decode(events) == [Departed("UA1", NOON)]


def test_the_pieces_of_a_split_event_share_nothing() -> None:
    """The step of one piece takes out what the other needs."""
    step = Split("Pair", 1, lambda data: [("Departed", 1, data), ("Departed", 1, data)], into=(("Departed", 1),))
    lifted = Upcast("Departed", 1, lambda data: data["inner"].pop())
    pair = EventTypes(EventType("Departed", Departed, schema_version=2), steps=[step, lifted])
    assert pair.decode(log(Event("Pair", {"inner": [OLD]}))) == [Departed("UA1", NOON)] * 2


def test_data_too_deep_for_a_step_names_the_event() -> None:
    deep = b'{"a":' + b"[" * 1_010 + b"]" * 1_010 + b"}"
    with pytest.raises(UnreadableEventError, match="recursion") as refused:
        stepping(lambda data: data).decode(log(Event("Departed", deep)))
    assert refused.value.version == 1
    with pytest.raises(InvalidEventError, match="recursion"):
        stepping(lambda data: data).decode_text("Departed", 1, deep.decode())


def fails(data: dict[str, Any]) -> dict[str, Any]:
    return {"delay": data["missing"]}


def stepping(change: Callable[[dict[str, Any]], Any]) -> EventTypes:
    return EventTypes(EventType("Departed", Departed, schema_version=2), steps=[Upcast("Departed", 1, change)])


MISSTEPS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "raises": (fails, "the step from Departed 1 raised KeyError: 'missing'"),
    "gives a list": (lambda data: [1], r"the step from Departed 1 gave \[1\], which is not a mapping"),
    "gives a lone surrogate": (lambda data: {"a": "\ud800"}, "surrogates not allowed"),
    "gives nothing": (lambda data: None, "gave None, which is not a mapping"),
    "gives NaN": (lambda data: {"a": float("nan")}, "breaks a rule: data.a nan is not a JSON number"),
    "gives objects": (lambda data: {"a": object()}, "breaks a rule: data .* is not JSON"),
}


@pytest.mark.parametrize(("change", "message"), MISSTEPS.values(), ids=MISSTEPS.keys())
def test_a_failed_step_names_the_event(change: Callable[[dict[str, Any]], Any], message: str) -> None:
    events = log(Event("Departed", OLD, schema_version=2), Event("Departed", OLD))
    with pytest.raises(UnreadableEventError, match=message) as refused:
        stepping(change).upcast(events)
    error = refused.value
    assert (error.type, error.schema_version, error.stream_id, error.version, error.position) == ("Departed", 1, "flight-1", 2, 2)
    assert error.event_id == events["event_id"][1].as_py()
    assert "mend or add the step" in error.remedy


def test_a_split_may_give_only_what_it_declares() -> None:
    strays = Split("Group", 1, lambda data: [("Departed", 2, data)], into=(("Departed", 1),))
    with pytest.raises(UnreadableEventError, match="the step from Group 1 gave 'Departed' 2, which it does not declare"):
        EventTypes(EventType("Departed", Departed), steps=[strays]).decode(log(Event("Group", OLD)))


def test_a_split_must_give_triples() -> None:
    strays = Split("Group", 1, lambda data: [data], into=(("Departed", 1),))  # type: ignore[list-item]
    with pytest.raises(UnreadableEventError, match="the step from Group 1 raised ValueError"):
        EventTypes(EventType("Departed", Departed), steps=[strays]).decode(log(Event("Group", OLD)))


def test_an_event_older_than_the_first_version_is_not_read() -> None:
    with pytest.raises(UnreadableEventError, match="Departed 1 is older than its first version"):
        EventTypes(EventType("Departed", Departed, schema_version=2, first_version=2)).decode(log(Event("Departed", OLD)))


@dataclass
class Strict:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise KeyError("negative")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("Departed", {"flight": "UA1"}, schema_version=3), r"does not fit its class \(ValidationError: Object missing required field `at`\)"),
        (Event("Departed", OLD | {"delay_min": "3"}, schema_version=3), r"Expected `int`, got `str` - at `\$.delay_min`"),
        (Event("Paid", {"amount": "a lot"}), "does not fit its class .ValidationError: 1 validation error for Paid"),
        (Event("Strict", {"value": -1}), "does not fit its class .KeyError: 'negative'"),
    ],
)
def test_data_that_does_not_fit_names_the_event(event: Event, message: str) -> None:
    events = log(Event("Unheard", {}), event)
    known = EventTypes(*TYPES, EventType("Strict", Strict), steps=TYPES.steps)
    with pytest.raises(UnreadableEventError, match=message) as refused:
        known.decode(events)
    assert (refused.value.position, refused.value.version, refused.value.event_id) == (2, 2, event.event_id)
    assert str(refused.value).startswith(f"{event.type} {event.schema_version} (stream 'flight-1', version 2, position 2, event_id ")


def test_the_error_does_with_what_the_table_tells() -> None:
    events = log(Event("Departed", {}, schema_version=3)).select(["type", "schema_version", "data"])
    with pytest.raises(UnreadableEventError, match=r"^Departed 3 cannot be read") as refused:
        TYPES.decode(events)
    assert (refused.value.stream_id, refused.value.version, refused.value.position, refused.value.event_id) == (None, None, None, None)


class Tagged(msgspec.Struct, tag="t", tag_field="kind", rename="camel"):
    first_value: int


def test_renamed_fields_and_tags_are_read_back() -> None:
    tagged = EventTypes(EventType("Tagged", Tagged))
    assert tagged.event(Tagged(1)).data == b'{"kind":"t","firstValue":1}'
    assert tagged.decode(log(tagged.event(Tagged(1)))) == [Tagged(1)]


def test_one_event_alone_is_decoded_as_in_a_table() -> None:
    old, group, raw = Event("Departed", OLD), Event("Group", {"flight": "UA1", "seats": [1, 2]}), Event("Unheard", {"a": 1})
    for event in (old, group, raw, TYPES.event(Departed("UA1", NOON, 5))):
        [row] = log(event).to_pylist()
        assert TYPES.decode_text(row["type"], row["schema_version"], row["data"]) == TYPES.decode(log(event))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (Event("Departed", OLD | {"delay_min": "3"}, schema_version=3), "data.delay_min '3' does not fit Departed 3 .Expected `int`"),
        (Event("Departed", {"flight": 7, "at": OLD["at"]}), "data.flight 7 does not fit Departed 3"),
        (Event("Booked", {"flight": "UA1"}), "cannot be lifted from Booked 1 .the step from Booked 1 raised KeyError: 'seat'"),
    ],
)
def test_an_event_that_is_not_in_the_log_yet_is_the_callers_to_mend(event: Event, message: str) -> None:
    with pytest.raises(InvalidEventError, match=message) as refused:
        TYPES.decode_text(event.type, event.schema_version, json.dumps(event.data))
    assert refused.value.remedy.startswith("mend the data")
