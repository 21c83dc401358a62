"""May these event types follow those? Each rule by a case, and all of them against what really decodes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import (
    Catalogue,
    EventType,
    EventTypes,
    IncompatibleTypesError,
    InvalidEventError,
    RawEvent,
    Rename,
    Split,
    Upcast,
    check_compatible,
    incompatibilities,
)
from tests.store.event_types.flights import Departed, Row, log, types

Field = tuple[str, Any] | tuple[str, Any, Any]


def same(data: Any) -> Any:
    return data


def catalogue(*fields: Field, version: int = 1, closed: bool = False, steps: Any = (), first: int = 1) -> Catalogue:
    cls = msgspec.defstruct("T", fields, kw_only=True, forbid_unknown_fields=closed)
    return EventTypes(EventType("T", cls, schema_version=version, first_version=first), steps=steps).catalogue()


def told(old: Catalogue, new: Catalogue, mode: Any) -> list[tuple[str, int, str | None, str]]:
    return [(each.type, each.schema_version, each.field, each.problem) for each in incompatibilities(old, new, mode)]


A, B = ("a", int), ("b", int, 0)

BACKWARD: dict[str, tuple[Catalogue, Catalogue, str | None]] = {
    "the same": (catalogue(A, B), catalogue(A, B), None),
    "a new optional field": (catalogue(A), catalogue(A, B), None),
    "a new required field": (catalogue(B), catalogue(A, B), "the new class requires it, old data does not have it"),
    "a field becomes required": (catalogue(("a", int, 0)), catalogue(A), "the new class requires it, old data may leave it out"),
    "a field becomes optional": (catalogue(A), catalogue(("a", int, 0)), None),
    "a required field goes": (catalogue(A, B), catalogue(B), None),
    "an optional field goes": (catalogue(A, B), catalogue(A), None),
    "a field goes, but the class is closed": (
        catalogue(("z", int), ("a", int)),
        catalogue(("z", int), closed=True),
        "old data may have it, the new class refuses fields that it does not know",
    ),
    "a default changes": (catalogue(B), catalogue(("b", int, 7)), None),
    "the order changes": (catalogue(A, B), catalogue(B, A), None),
}  # fmt: skip

FORWARD: dict[str, tuple[Catalogue, Catalogue, str | None]] = {
    "the same": (catalogue(A, B), catalogue(A, B), None),
    "a new optional field": (catalogue(A), catalogue(A, B), None),
    "a new required field": (catalogue(B), catalogue(A, B), None),
    "a new field, but the old class is closed": (
        catalogue(("z", int), closed=True),
        catalogue(A, ("z", int)),
        "new data may have it, the old class refuses fields that it does not know",
    ),
    "a field becomes required": (catalogue(("a", int, 0)), catalogue(A), None),
    "a field becomes optional": (catalogue(A), catalogue(("a", int, 0)), "the old class requires it, new data may leave it out"),
    "a required field goes": (catalogue(A, B), catalogue(B), "the old class requires it, new data does not have it"),
    "an optional field goes": (catalogue(A, B), catalogue(A), None),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "problem"), BACKWARD.values(), ids=BACKWARD.keys())
def test_backward(old: Catalogue, new: Catalogue, problem: str | None) -> None:
    assert told(old, new, "backward") == ([] if problem is None else [("T", 1, "a", problem)])


@pytest.mark.parametrize(("old", "new", "problem"), FORWARD.values(), ids=FORWARD.keys())
def test_forward(old: Catalogue, new: Catalogue, problem: str | None) -> None:
    assert told(old, new, "forward") == ([] if problem is None else [("T", 1, "a", problem)])


class Wide(msgspec.Struct):
    row: Row | None = None
    more: int = 0


class Narrow(msgspec.Struct):
    row: Row


WIDENINGS: dict[str, tuple[Any, Any]] = {
    "integer to number": (int, float),
    "to nullable": (int, int | None),
    "to a union": (int, int | str),
    "to any": (int, Any),
    "time to string": (datetime, str),
    "date to string": (date, str),
    "decimal to string": (Decimal, str),
    "literal to string": (Literal["a", "b"], str),
    "literal to integer": (Literal[1, 2], int | None),
    "more literals": (Literal["a"], Literal["a", "b"]),
    "a limit goes": (Annotated[int, msgspec.Meta(ge=0)], int),
    "a lower limit": (Annotated[int, msgspec.Meta(ge=2)], Annotated[int, msgspec.Meta(ge=1)]),
    "an exclusive limit becomes inclusive": (Annotated[int, msgspec.Meta(lt=2)], Annotated[int, msgspec.Meta(le=2)]),
    "a longer string": (Annotated[str, msgspec.Meta(max_length=2)], Annotated[str, msgspec.Meta(max_length=3)]),
    "items": (list[int], list[float]),
    "a list of any": (list[int], list[Any]),
    "a tuple to a list": (tuple[int, int], list[int]),
    "a map's values": (dict[str, int], dict[str, int | None]),
    "a map of any": (dict[str, int], dict[str, Any]),
    "a map by integers to one by strings": (dict[int, int], dict[str, int]),
    "a map by more literals": (dict[Literal["a"], int], dict[Literal["a", "b"], int]),
    "a map by integers or dates": (dict[int, int], dict[int | date, int]),
    "a map by larger integers": (dict[Annotated[int, msgspec.Meta(ge=3)], int], dict[int, int]),
    "a class to a map by its names": (Row, dict[Literal["number", "letter", "more"], Any]),
    "a time that may lack a zone": (Annotated[datetime, msgspec.Meta(tz=True)], datetime),
    "a time of day that may lack a zone": (Annotated[time, msgspec.Meta(tz=True)], time),
    "a class to a map": (Row, dict[str, Any]),
    "a class inside": (Narrow, Wide),
    "lists of classes": (list[Narrow], list[Wide] | None),
    "a field inside becomes optional": (Narrow, msgspec.defstruct("Optional", [("row", Row, Row(1))])),
}


@pytest.mark.parametrize(("narrow", "wide"), WIDENINGS.values(), ids=WIDENINGS.keys())
def test_a_kind_may_widen_backward_and_narrow_forward_only(narrow: Any, wide: Any) -> None:
    less, more = catalogue(("a", narrow)), catalogue(("a", wide))
    assert told(less, more, "backward") == told(more, less, "forward") == []
    ((*_, backward),) = told(more, less, "backward")
    ((*_, forward),) = told(less, more, "forward")
    assert backward.startswith("old data may hold ")
    assert forward.startswith("new data may hold ")


CHANGES: dict[str, tuple[Any, Any]] = {
    "string and integer": (str, int),
    "time and date": (datetime, date),
    "boolean and integer": (bool, Literal[1]),
    "list and map": (list[int], dict[str, int]),
    "maps by integers and by dates": (dict[int, int], dict[date, int]),
    "a class and a map by integers": (Row, dict[int, Any]),
    "two patterns": (Annotated[str, msgspec.Meta(pattern="^a")], Annotated[str, msgspec.Meta(pattern="^b")]),
    "two classes": (Row, msgspec.defstruct("Other", [("name", str)])),
    "tuples of two lengths": (tuple[int, int], tuple[int, int, int]),
    "local and zoned time": (Annotated[datetime, msgspec.Meta(tz=False)], Annotated[datetime, msgspec.Meta(tz=True)]),
}


@pytest.mark.parametrize(("one", "other"), CHANGES.values(), ids=CHANGES.keys())
def test_another_kind_is_refused_both_ways(one: Any, other: Any) -> None:
    for mode in ("backward", "forward"):
        assert len(told(catalogue(("a", one)), catalogue(("a", other)), mode)) == 1
        assert len(told(catalogue(("a", other)), catalogue(("a", one)), mode)) == 1
    assert len(told(catalogue(("a", one)), catalogue(("a", other)), "full")) == 2


class Flagged(pydantic.BaseModel):
    a: Literal[True]


class Numbered(pydantic.BaseModel):
    a: Literal[1, 2]


def test_true_is_not_one() -> None:
    flagged, numbered = (EventTypes(EventType("T", cls)).catalogue() for cls in (Flagged, Numbered))
    assert len(told(flagged, numbered, "backward")) == 1


class Models:
    class Some(pydantic.BaseModel):
        a: datetime
        b: datetime | None
        c: dict[str, Any]

    class Aware(pydantic.BaseModel):
        a: pydantic.AwareDatetime
        b: pydantic.AwareDatetime | None
        c: dict[str, int]

    class Naive(pydantic.BaseModel):
        a: pydantic.NaiveDatetime
        b: pydantic.NaiveDatetime | None
        c: dict[int, int]


def test_models_tell_times_and_maps_apart_too() -> None:
    some, aware, naive = (EventTypes(EventType("T", cls)).catalogue() for cls in (Models.Some, Models.Aware, Models.Naive))
    assert told(aware, some, "backward") == []
    for old, new in ((some, aware), (aware, naive), (some, naive)):
        assert [field for _, _, field, _ in told(old, new, "backward")] == ["a", "b", "c"]


class Card(pydantic.BaseModel):
    kind: Literal["card"] = "card"
    due: pydantic.AwareDatetime


class Cash(pydantic.BaseModel):
    kind: Literal["cash"] = "cash"
    given: Decimal


class Coin(pydantic.BaseModel):
    kind: Literal["coin"] = "coin"


def of_model(kind: Any) -> Catalogue:
    return EventTypes(EventType("T", pydantic.create_model("T", a=(kind, ...)))).catalogue()


UNIONS: dict[str, tuple[Any, Any]] = {
    "classes": (Card, Card | Cash),
    "lists of classes": (list[Cash], list[Card | Cash]),
    "maps of classes": (dict[str, Cash], dict[str, Card | Cash]),
    "strings": (datetime, str | datetime),
    "times and numbers": (Decimal | pydantic.AwareDatetime, Decimal | datetime),
}


@pytest.mark.parametrize(("narrow", "wide"), UNIONS.values(), ids=UNIONS.keys())
def test_unions_that_only_pydantic_reads_are_told_apart(narrow: Any, wide: Any) -> None:
    assert told(of_model(narrow), of_model(wide), "backward") == []
    assert len(told(of_model(wide), of_model(narrow), "backward")) == 1


def test_classes_told_apart_by_a_field_are_each_looked_at() -> None:
    both, others = (Annotated[kind, pydantic.Field(discriminator="kind")] for kind in (Card | Cash, Card | Coin))
    assert len(told(of_model(both), of_model(others), "backward")) == len(told(of_model(others), of_model(both), "backward")) == 1


def test_a_misfit_says_what_a_map_is_by_and_that_a_zone_is_asked_for() -> None:
    old = catalogue(("at", datetime), ("by", dict[str, int]))
    new = catalogue(("at", Annotated[datetime, msgspec.Meta(tz=True)]), ("by", dict[int, int]))
    assert [problem for *_, problem in told(old, new, "backward")] == [
        "old data may hold string (date-time), the new class takes string (date-time), with a zone",
        "old data may hold map of integer, the new class takes map of integer by string (integer)",
    ]


def test_a_raised_version_with_steps_is_backward_compatible_whatever_its_fields() -> None:
    old, new = catalogue(A), catalogue(("z", str), version=2, steps=[Upcast("T", 1, same)])
    assert told(old, new, "backward") == []
    assert told(old, new, "forward") == [("T", 2, None, "the old code cannot read this version")]


def test_a_raised_version_must_read_the_one_before() -> None:
    assert told(catalogue(A), catalogue(A, version=2, first=2), "backward") == [("T", 1, None, "the new code has no way to read it")]


def test_steps_may_not_go() -> None:
    old = catalogue(A, version=2, steps=[Upcast("T", 1, same)])
    assert told(old, catalogue(A, version=2, first=2), "backward") == [("T", 1, None, "the new code has no way to read it")]


def test_a_version_may_not_be_lowered() -> None:
    old = catalogue(A, version=2, steps=[Upcast("T", 1, same)])
    assert told(old, catalogue(A), "backward") == [("T", 2, None, "the new code has no way to read it")]


def test_a_type_may_not_vanish() -> None:
    assert told(types().catalogue(), catalogue(A), "backward")[0] == ("Booked", 1, None, "the type is gone")
    assert told(catalogue(A), EventTypes().catalogue(), "forward") == []


def test_a_type_may_be_renamed_or_split() -> None:
    for step in (Rename("T", 1, to="Departed"), Split("T", 1, same, into=(("Departed", 1),))):
        new = EventTypes(EventType("Departed", Departed), steps=[step]).catalogue()
        assert told(catalogue(A), new, "full") == []


def test_a_new_type_is_compatible() -> None:
    old = EventTypes(EventType("Departed", Departed))
    cls = msgspec.defstruct("T", [A])
    assert told(old.catalogue(), EventTypes(*old, EventType("T", cls)).catalogue(), "full") == []


def test_what_was_not_read_before_need_not_be_read_now() -> None:
    forgotten = catalogue(B).merged(EventTypes(EventType("Departed", Departed)).catalogue())
    assert told(forgotten, catalogue(B), "backward") == []


def test_check_compatible_raises_with_all_of_them() -> None:
    old, new = catalogue(("a", str), ("b", int, 0)), catalogue(("a", int), ("b", int), ("c", int))
    with pytest.raises(IncompatibleTypesError) as refused:
        check_compatible(old, new, "backward")
    assert [each.field for each in refused.value.incompatibilities] == ["a", "b", "c"]
    assert all(each.remedy for each in refused.value.incompatibilities)
    assert str(refused.value).splitlines() == [
        "the event types are not backward compatible:",
        *(f"- {each}" for each in incompatibilities(old, new, "backward")),
    ]
    assert "T 1, field a: old data may hold string, the new class takes integer: give it a default or the wider type" in str(refused.value)


def test_check_compatible_is_content_with_the_same() -> None:
    check_compatible(types().catalogue(), types().catalogue(), "full")


def test_event_types_are_no_catalogue() -> None:
    with pytest.raises(InvalidEventError, match=r"new EventTypes.* is no catalogue: give types.catalogue\(\)"):
        check_compatible(types().catalogue(), types())  # type: ignore[arg-type]


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="mode 'sideways' is no mode"):
        incompatibilities(catalogue(A), catalogue(A), "sideways")  # type: ignore[arg-type]


AWARE = Annotated[datetime, msgspec.Meta(tz=True)]
LOCAL = Annotated[datetime, msgspec.Meta(tz=False)]

kinds = st.recursive(
    st.sampled_from(
        [int, float, str, bool, datetime, date, Decimal, Row, None, Literal["a"], Literal["a", "b"], Literal[1, 2],
         Annotated[int, msgspec.Meta(ge=0)], Annotated[str, msgspec.Meta(max_length=2)], AWARE, LOCAL]
    ),
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),  # type: ignore[valid-type]
        st.builds(lambda key, kind: dict[key, kind], st.sampled_from([str, int, date, Literal["a"], Literal["a", "b"]]), inner),
        inner.map(lambda kind: kind | None if kind is not None else None),
        st.builds(lambda kind, name: msgspec.defstruct(f"Inner{name}", [("x", kind)]), inner, st.uuids(version=4).map(lambda i: i.hex)),
    ),
    max_leaves=3,
)  # fmt: skip
fields = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(kinds, st.booleans()), max_size=3)


def struct(chosen: dict[str, tuple[Any, bool]], closed: bool = False) -> type:
    made = [(name, kind) if required else (name, (type(None) if kind is None else kind) | msgspec.UnsetType, msgspec.UNSET)
            for name, (kind, required) in chosen.items()]
    return msgspec.defstruct("T", made, kw_only=True, forbid_unknown_fields=closed)  # fmt: skip


def values(kind: Any) -> st.SearchStrategy[Any]:
    """JSON values of that kind, as its own class would write them."""
    local = st.datetimes()
    aware = local.map(lambda t: t.replace(tzinfo=UTC))
    simple: dict[Any, st.SearchStrategy[Any]] = {
        AWARE: aware, LOCAL: local, datetime: local | aware, date: st.dates(), Decimal: st.decimals(-9, 9, places=2),
        int: st.integers(-(2**63), 2**63 - 1), float: st.floats(-1e9, 1e9), str: st.text(max_size=3), bool: st.booleans(), None: st.none(),
        Row: st.builds(Row, st.integers(0, 9), st.text(max_size=2)),
    }  # fmt: skip
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        (hint,) = kind.__annotations__.values()
        return values(hint).map(kind)
    if kind in simple:
        return simple[kind]
    match getattr(kind, "__origin__", None):
        case origin if origin is list:
            return st.lists(values(kind.__args__[0]), max_size=2)
        case origin if origin is dict:
            return st.dictionaries(*map(values, kind.__args__), max_size=2)
        case origin if origin is Literal:
            return st.sampled_from(kind.__args__)
        case origin if origin in (int, str):
            return st.integers(0, 9) if origin is int else st.text(max_size=2)
    return st.one_of(*map(values, (None if arm is type(None) else arm for arm in kind.__args__)))


@given(fields, fields, st.booleans(), st.data())
def test_what_is_found_backward_compatible_is_read(old: dict[str, Any], new: dict[str, Any], closed: bool, data: st.DataObject) -> None:
    """And forward compatible is backward compatible the other way round."""
    writer, reader = (EventTypes(EventType("T", cls)) for cls in (struct(old), struct(new, closed)))
    found = incompatibilities(writer.catalogue(), reader.catalogue(), "backward")
    assert [each.field for each in incompatibilities(reader.catalogue(), writer.catalogue(), "forward")] == [each.field for each in found]
    if not found:
        chosen = {name: data.draw(values(kind)) for name, (kind, required) in old.items() if required or data.draw(st.booleans())}
        (read,) = reader.decode(log(writer.event(writer["T"].cls(**chosen))))
        assert not isinstance(read, RawEvent)


@given(fields)
def test_every_class_is_fully_compatible_with_itself(chosen: dict[str, Any]) -> None:
    known = EventTypes(EventType("T", struct(chosen))).catalogue()
    assert incompatibilities(known, known, "full") == []
