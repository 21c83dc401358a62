"""Making events of objects, and what an `EventTypes` refuses to be."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest

from store import EventType, EventTypes, EventTypesError, InvalidEventError, MemoryEventStore, Rename, Split, StoreError, Upcast
from tests.store.event_types.flights import NOON, Booked, Cabin, Departed, Everything, Paid, Row, types

LATER = datetime(2013, 1, 2, tzinfo=UTC)
TYPES = types()
SENT = EventTypes(EventType("Paid", Paid), steps=[Rename("Bought", 1, to="Paid", to_version=1)])


def test_event_encodes_the_data_as_json_of_the_current_version() -> None:
    event = TYPES.event(Departed("UA1", NOON, 3))
    assert (event.type, event.schema_version, event.data) == ("Departed", 3, b'{"flight":"UA1","at":"2013-01-01T12:00:00Z","delay_min":3}')


def test_event_takes_tags_and_business_time_from_the_object() -> None:
    event = TYPES.event(Departed("UA1", NOON))
    assert (event.tags, event.occurred_at) == (["flight:UA1"], NOON)


def test_event_adds_given_tags_and_prefers_a_given_time() -> None:
    event = TYPES.event(Departed("UA1", NOON), tags=["x", "flight:UA1"], occurred_at=LATER)
    assert (event.tags, event.occurred_at) == (["flight:UA1", "x"], LATER)


def test_event_keeps_what_is_given() -> None:
    given: dict[str, Any] = {"event_id": str(uuid.uuid4()), "correlation_id": "c", "causation_id": "d", "metadata": {"by": "me"}}
    event = TYPES.event(Paid(amount=Decimal(1)), **given)
    assert {name: getattr(event, name) for name in given} == given


def test_event_has_an_id_of_its_own() -> None:
    assert TYPES.event(Departed("UA1", NOON)).event_id != TYPES.event(Departed("UA1", NOON)).event_id


def test_events_can_be_appended_and_read_back() -> None:
    objects = [Departed("UA1", NOON), Booked("UA1", Row(1, "C"), Cabin.FIRST, Decimal("1.50")), Paid(amount=Decimal("2.5"), paidBy="cash")]
    with MemoryEventStore() as store:
        store.append("flight-UA1", [TYPES.event(value) for value in objects])
        assert TYPES.decode(store.read_stream("flight-UA1")) == objects


def test_event_refuses_an_unregistered_class_by_name() -> None:
    with pytest.raises(InvalidEventError, match=r"class Row, which no event type has: register it .* \(registered: Departed, Booked, Paid\)"):
        TYPES.event(Row(1))


@dataclass
class Loose:
    value: Any


LOOSE = EventTypes(EventType("Loose", Loose))

NO_JSON = {
    "NaN": (float("nan"), "data.value nan is not a JSON number"),
    "infinity deep inside": ([{"a": -float("inf")}], "data.value.a -inf is not a JSON number"),
    "huge int": (2**64, "64-bit"),
    "huge negative int": ({"a": [-(2**63) - 1]}, "64-bit"),
    "lone surrogate": ("\ud800", "surrogates"),
    "object": (object(), "unsupported"),
}


@pytest.mark.parametrize(("value", "message"), NO_JSON.values(), ids=NO_JSON.keys())
def test_event_refuses_what_json_cannot_hold(value: Any, message: str) -> None:
    with pytest.raises(InvalidEventError, match=message):
        LOOSE.event(Loose(value))


class Measured(pydantic.BaseModel):
    value: float | int | None


MEASURED = EventTypes(EventType("Measured", Measured))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**70])
def test_event_refuses_what_json_cannot_hold_of_a_model_too(value: float) -> None:
    with pytest.raises(InvalidEventError, match="JSON"):
        MEASURED.event(Measured(value=value))


@dataclass
class Numbers:
    one: int = 0
    named: dict[str, int] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)
    listed: list[dict[str, int]] = field(default_factory=list)


WRONGLY_TYPED: dict[str, tuple[Any, str]] = {
    "a Struct": (Departed("UA1", NOON, "3"), "data.delay_min '3' does not fit Departed .Expected `int`, got `str`"),  # type: ignore[arg-type]
    "a class inside": (Booked("UA1", Row("1")), "data.seat.number '1' does not fit Booked"),  # type: ignore[arg-type]
    "a model": (Paid.model_construct(amount="much"), "data.amount 'much' does not fit Paid"),  # type: ignore[arg-type]
    "a map's value": (Numbers(named={"a": "b"}), "data.named {'a': 'b'} does not fit Numbers .Expected `int`, got `str`"),  # type: ignore[dict-item]
    "a map's key": (Numbers(counted={"a": 1}), "data.counted {'a': 1} does not fit Numbers .Expected `int`, got `str`"),  # type: ignore[dict-item]
    "a map in a list": (Numbers(listed=[{}, {"a": "b"}]), "data.listed.1 {'a': 'b'} does not fit"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize(("value", "message"), WRONGLY_TYPED.values(), ids=WRONGLY_TYPED.keys())
def test_event_refuses_what_its_class_would_not_read_again(value: object, message: str) -> None:
    known = EventTypes(*TYPES, EventType("Numbers", Numbers), steps=TYPES.steps)
    with pytest.raises(InvalidEventError, match=message) as refused:
        known.event(value)
    assert refused.value.remedy == "give values of the types that its fields declare"


@pytest.mark.parametrize("value", [None, 2**64 - 1, -(2**63), "0" * 30, {"null": None}, {1: None}, 0.1234567890123456789])
def test_event_takes_what_only_looks_like_it(value: Any) -> None:
    with MemoryEventStore() as store:
        store.append("a", [LOOSE.event(Loose(value))])
        (read,) = LOOSE.decode(store.read_stream("a"))
    assert read.value in (value, {"1": None})


@pytest.mark.parametrize("tags", ["red", 7])
def test_event_refuses_tags_that_are_no_list(tags: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"tags .* are not a list"):
        TYPES.event(Departed("UA1", NOON), tags=tags)
    with pytest.raises(InvalidEventError, match=r"tags .* are not a list"):
        EventTypes(EventType("Departed", Departed, tags=lambda e: tags)).event(Departed("UA1", NOON))


def test_types_are_known_by_name_and_by_class() -> None:
    assert "Departed" in TYPES
    assert Departed in TYPES
    assert "Sold" not in TYPES
    assert Row not in TYPES
    assert [event_type.name for event_type in TYPES] == ["Departed", "Booked", "Paid"]
    assert len(TYPES) == 3
    assert TYPES["Booked"].cls is Booked
    assert repr(TYPES) == "EventTypes(Departed 3, Booked 2, Paid 1)"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidEventError, match="type 'Sold' is not registered: take one of the registered types: Departed, Booked, Paid"):
        TYPES["Sold"]


class Plain:
    value: int


class Named(NamedTuple):
    value: int


class Typed(TypedDict):
    value: int


class Listed(msgspec.Struct, array_like=True):
    value: int


class Rooted(pydantic.RootModel[list[int]]):
    pass


@dataclass
class Odd:
    value: complex


@dataclass
class Lost:
    value: Nowhere  # type: ignore[name-defined]  # noqa: F821


def one(**fields: Any) -> EventType[Departed]:
    return EventType("Departed", Departed, **fields)


def same(data: Any) -> Any:
    return data


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a name twice": (lambda: EventTypes(one(), EventType("Departed", Booked)), "'Departed' stands twice"),
    "a class twice": (lambda: EventTypes(one(), EventType("Left", Departed)), "'Left' has the class Departed, as 'Departed' has"),
    "no EventType": (lambda: EventTypes(Departed), "is not an EventType"),  # type: ignore[arg-type]
    "no name": (lambda: EventType("", Departed), "'' is empty"),
    "a long name": (lambda: EventType("x" * 257, Departed), "is over 256 bytes"),
    "version 0": (lambda: one(schema_version=0), "has schema_version 0: count"),
    "version True": (lambda: one(schema_version=True), "has schema_version True"),
    "version as text": (lambda: one(schema_version="2"), "has schema_version '2': count"),
    "tags that are no function": (lambda: one(tags=["a"]), r"has tags \['a'\]: give a function"),
    "a time that is no function": (lambda: one(occurred_at=NOON), "has occurred_at .*: give a function"),
    "a contract that is no schema": (lambda: one(contract=Departed), "has the contract .*: give a pandera schema"),
    "first version 0": (lambda: one(first_version=0), "has first_version 0"),
    "first version above": (lambda: one(first_version=2), "first_version 2, above its schema_version 1"),
    "earlier is current": (lambda: one(earlier={1: Booked}), "has an earlier version 1: its earlier versions are none"),
    "plain class": (lambda: EventTypes(EventType("P", Plain)), "has the class Plain: make it a dataclass"),
    "named tuple": (lambda: EventTypes(EventType("P", Named)), "has the class Named: make it a dataclass"),
    "typed dict": (lambda: EventTypes(EventType("P", Typed)), "has the class Typed: make it a dataclass"),
    "function": (lambda: EventTypes(EventType("P", same)), "which is not a class"),  # type: ignore[arg-type]
    "array-like Struct": (lambda: EventTypes(EventType("P", Listed)), "whose values are no JSON objects"),
    "root model": (lambda: EventTypes(EventType("P", Rooted)), "whose values are no JSON objects"),
    "a field no JSON holds": (lambda: EventTypes(EventType("P", Odd)), "JSON cannot hold .*complex"),
    "a field of no known type": (lambda: EventTypes(EventType("P", Lost)), "JSON cannot hold .*Nowhere"),
    "an earlier class no JSON holds": (lambda: EventTypes(one(schema_version=2, first_version=1, earlier={1: Odd})), "complex"),
    "no step": (lambda: EventTypes(one(schema_version=3), steps=[Upcast("Departed", 2, same)]), "no step from version 1: add Upcast"),
    "no step from first": (lambda: EventTypes(one(schema_version=3, first_version=2)), "no step from version 2"),
    "a step from current": (lambda: EventTypes(one(), steps=[Upcast("Departed", 1, same)]), r"starts from the current version \(1\)"),
    "a step from newer": (lambda: EventTypes(one(), steps=[Rename("Departed", 9, to="Departed")]), "or a newer one"),
    "a step below first": (lambda: EventTypes(one(schema_version=2, first_version=2), steps=[Upcast("Departed", 1, same)]), "below first_version"),
    "a step from 0": (lambda: EventTypes(one(), steps=[Upcast("Departed", 0, same)]), "no version to start from"),
    "a step twice": (lambda: EventTypes(one(), steps=[Rename("A", 1, to="Departed"), Upcast("A", 1, same)]), "'A' 1 stands twice"),
    "no step at all": (lambda: EventTypes(one(), steps=[same]), "is no step"),  # type: ignore[list-item]
    "a step without a list": (lambda: EventTypes(one(schema_version=2), steps=Upcast("Departed", 1, same)), "are not a list: put it in a list"),  # type: ignore[arg-type]
    "a step that does nothing": (lambda: EventTypes(one(schema_version=2), steps=[Upcast("Departed", 1, None)]), "change None, which is not a fun"),  # type: ignore[arg-type]
    "a rename by no function": (lambda: EventTypes(one(), steps=[Rename("A", 1, {}, to="Departed")]), "change {}, which is not a function"),  # type: ignore[arg-type]
    "split into a name": (lambda: EventTypes(one(), steps=[Split("A", 1, same, into="Departed")]), "declares no types, but 'Departed': name them"),  # type: ignore[arg-type]
    "split into one pair": (lambda: EventTypes(one(), steps=[Split("A", 1, same, into=("Departed", 1))]), "declares no types, but .*: name them"),  # type: ignore[arg-type]
    "renamed to unknown": (lambda: EventTypes(one(), steps=[Rename("A", 1, to="B")]), "leads to 'B' 1, which is not known"),
    "renamed to newer": (lambda: EventTypes(one(), steps=[Rename("A", 1, to="Departed", to_version=2)]), "leads to 'Departed' 2, which is not known"),
    "upcast to nowhere": (lambda: EventTypes(one(), steps=[Upcast("A", 1, same)]), "leads to 'A' 2, which is not known"),
    "split into unknown": (lambda: EventTypes(one(), steps=[Split("A", 1, same, into=(("Departed", 1), ("B", 1)))]), "leads to 'B' 1"),
    "split into nothing": (lambda: EventTypes(one(), steps=[Split("A", 1, same, into=())]), "declares no types"),
    "retired with a gap": (
        lambda: EventTypes(one(), steps=[Rename("A", 2, to="Departed")]),
        r"'A' has no step from version 1: add Upcast\('A', 1, …\) or another step from there, to steps, even if the log holds none of it$",
    ),
    "a circle": (lambda: EventTypes(one(), steps=[Rename("A", 1, to="B"), Rename("B", 1, to="A")]), r"circle \(A 1 -> B 1 -> A 1\)"),
    "a circle to itself": (lambda: EventTypes(one(), steps=[Rename("A", 1, to="A")]), r"circle \(A 1 -> A 1\)"),
    "a circle of a split": (
        lambda: EventTypes(one(), steps=[Split("A", 1, same, into=(("Departed", 1), ("B", 1))), Rename("B", 1, to="A")]),
        r"circle \(A 1 -> B 1 -> A 1\)",
    ),
}


@pytest.mark.parametrize(("made", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_construction_refuses(made: Callable[[], Any], message: str) -> None:
    with pytest.raises(EventTypesError, match=message) as refused:
        made()
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, StoreError)
    assert refused.value.remedy


def test_steps_may_be_any_iterable() -> None:
    steps = (Upcast("Departed", version, same) for version in (1, 2))
    assert len(EventTypes(one(schema_version=3), steps=steps).steps) == 2  # type: ignore[arg-type]


def test_first_version_asks_for_no_older_steps() -> None:
    assert len(EventTypes(one(schema_version=3, first_version=2), steps=[Upcast("Departed", 2, same)])) == 1


def test_a_name_may_be_used_anew_for_another_shape() -> None:
    """Version 1 of the name was another event: its step leads away, and no upcast is missing."""
    assert EventTypes(one(schema_version=2), EventType("Booked", Booked), steps=[Rename("Departed", 1, to="Booked")])


def test_a_class_may_hold_every_kind_of_field() -> None:
    assert "Everything" in EventTypes(EventType("Everything", Everything))


def test_event_types_go_from_process_to_process_with_their_steps() -> None:
    there = pickle.loads(pickle.dumps(SENT))
    assert list(there) == list(SENT)
    assert there.steps == SENT.steps
