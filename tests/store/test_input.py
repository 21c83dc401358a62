"""Bad input is refused before anything is written, by field, value and remedy."""

from __future__ import annotations

import uuid
from collections import UserDict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from store import Append, Event, EventStore, InvalidEventError
from tests.store.facts import at_once, everything, fact, facts

NAN, INF = float("nan"), float("inf")
MEBIBYTE = 1 << 20
EAST, WEST = timezone(timedelta(hours=1)), timezone(-timedelta(hours=1))


def data(value: Any) -> Event:
    return Event("Happened", value)


def deep(value: Any) -> Event:
    return data({"a": [{"b": {"c": [1, value]}}]})


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


NAMES: dict[str, tuple[Any, str]] = {
    "empty": ("", "'' is empty"),
    "number": (7, "7 is not a str"),
    "bytes": (b"a", "b'a' is not a str"),
    "unhashable": (["a"], r"\['a'\] is not a str"),
    "newline": ("a\nb", "holds control characters"),
    "NUL": ("a\0", "holds control characters"),
    "DEL": ("\x7f", "holds control characters"),
    "C1": ("a\x9f", "holds control characters"),
    "lone surrogate": ("a\ud800", "holds control characters or lone surrogates"),
}

EVENTS: dict[str, tuple[Callable[[], Any], str]] = {
    "no Event": (lambda: {"type": "T"}, "event .* is not an Event"),
    "type None": (lambda: Event(None, {}), "type None is not a str"),  # type: ignore[arg-type]
    "long type": (lambda: Event("ä" * 129, {}), "type .* is over 256 bytes"),
    "data None": (lambda: data(None), "data None is not a mapping"),
    "data str": (lambda: data("{}"), "data '{}' is not a mapping"),
    "data list": (lambda: data([1]), r"data \[1\] is not a mapping"),
    "no JSON bytes": (lambda: data(b"{oops}"), "data b'{oops}' is not JSON"),
    "JSON bytes of a list": (lambda: data(b"[1]"), "data .* is JSON, but not an object"),
    "JSON bytes with NaN": (lambda: data(b'{"a":NaN}'), "data .* is not JSON"),
    "JSON bytes, two objects": (lambda: data(b"{} {}"), "data .* is not JSON"),
    "JSON bytes, not UTF-8": (lambda: data(b'{"a":"\xff"}'), "data .* is not JSON"),
    "JSON bytes, escaped lone surrogate": (lambda: data(b'{"a":"\\ud800"}'), "data .* is not JSON"),
    "JSON bytes, a number no float holds": (lambda: data(b'{"a":1e999}'), "data .* is not JSON"),
    "NaN": (lambda: data({"a": NAN}), "data.a nan is not a JSON number"),
    "NaN deep inside": (lambda: deep(NAN), "data.a.b.c nan is not a JSON number"),
    "infinity deep inside": (lambda: deep(-INF), "data.a.b.c -inf is not a JSON number"),
    "NaN beside null": (lambda: data({"a": None, "b": (NAN,)}), "data.b nan is not a JSON number"),
    "NaN in a Mapping": (lambda: data(UserDict(a=NAN)), "data.a nan is not a JSON number"),
    "huge int": (lambda: data({"a": 2**64}), "data .* is not JSON .*64-bit"),
    "huge negative int": (lambda: deep(-(2**63) - 1), "data .* is not JSON .*64-bit"),
    "lone surrogate": (lambda: deep("\ud800"), "data .* is not JSON .*surrogates"),
    "lone surrogate as key": (lambda: data({"\ud800": 1}), "data .* is not JSON .*surrogates"),
    "int key": (lambda: data({1: 2}), "data .* is not JSON .*str"),
    "datetime": (lambda: deep(datetime.now(UTC)), "data .* is not JSON .*datetime"),
    "date": (lambda: deep(date(2013, 1, 1)), "data .* is not JSON .*date"),
    "Decimal": (lambda: deep(Decimal(1)), "data .* is not JSON .*Decimal"),
    "set": (lambda: deep({1}), "data .* is not JSON .*set"),
    "bytes": (lambda: deep(b""), "data .* is not JSON .*bytes"),
    "object": (lambda: deep(object()), "data .* is not JSON .*object"),
    "bottomless": (lambda: data(nested(300)), "data .* is not JSON .*[Rr]ecursion"),
    "large data": (lambda: data({"a": "x" * MEBIBYTE}), "data 'of 1,048,584 bytes' is over the limit of 1,048,576 bytes"),
    "large data of wide characters": (lambda: data({"a": "東" * (MEBIBYTE // 3)}), "data .* is over the limit"),
    "large JSON bytes": (lambda: data(b'{"a":"' + b"x" * MEBIBYTE + b'"}'), "data .* is over the limit"),
    "large metadata": (lambda: fact(metadata={"a": "x" * MEBIBYTE}), "data .* is over the limit"),
    "metadata str": (lambda: fact(metadata="{}"), "metadata '{}' is not a mapping"),
    "metadata NaN": (lambda: fact(metadata={"a": NAN}), "metadata.a nan is not a JSON number"),
    "event_id str": (lambda: fact(event_id="seven"), "event_id 'seven' is not a UUID"),
    "event_id None": (lambda: fact(event_id=None), "event_id None is not a UUID"),
    "event_id int": (lambda: fact(event_id=7), "event_id 7 is not a UUID"),
    "schema_version 0": (lambda: fact(schema_version=0), "schema_version 0 is not a positive"),
    "schema_version True": (lambda: fact(schema_version=True), "schema_version True is not a positive"),
    "schema_version float": (lambda: fact(schema_version=1.0), "schema_version 1.0 is not a positive"),
    "schema_version huge": (lambda: fact(schema_version=2**31), "schema_version 2147483648 is not a positive"),
    "naive occurred_at": (lambda: fact(occurred_at=datetime(2013, 1, 1)), "occurred_at .* has no time zone"),
    "occurred_at date": (lambda: fact(occurred_at=date(2013, 1, 1)), "occurred_at .* is not a datetime"),
    "occurred_at str": (lambda: fact(occurred_at="2013-01-01T00:00:00Z"), "occurred_at .* is not a datetime"),
    "occurred_at before 1": (lambda: fact(occurred_at=datetime.min.replace(tzinfo=EAST)), "occurred_at .* is outside the years"),
    "occurred_at after 9999": (lambda: fact(occurred_at=datetime.max.replace(tzinfo=WEST)), "occurred_at .* is outside the years"),
    "empty correlation_id": (lambda: fact(correlation_id=""), "correlation_id '' is empty"),
    "long causation_id": (lambda: fact(causation_id="x" * 257), "causation_id .* is over 256 bytes"),
    "correlation_id UUID": (lambda: fact(correlation_id=uuid.uuid4()), "correlation_id .* is not a str"),
    "unhashable causation_id": (lambda: fact(causation_id=["x"]), "causation_id .* is not a str"),
    "tags str": (lambda: fact(tags="red"), "tags 'red' are not a list"),
    "tags int": (lambda: fact(tags=7), "tags 7 are not a list"),
    "tags of int": (lambda: fact(tags=[7]), "tags 7 is not a str"),
    "empty tag": (lambda: fact(tags=["x", ""]), "tags '' is empty"),
    "long tag": (lambda: fact(tags=["x" * 257]), "tags .* is over 256 bytes"),
    "tag with newline": (lambda: fact(tags=["x\n"]), "tags .* holds control characters"),
    "too many tags": (lambda: fact(tags=[f"t{n}" for n in range(65)]), r"tags .*65 of them.* are more than 64"),
}

STREAMS = NAMES | {"long": ("ä" * 257, "is over 512 bytes"), "missing": (None, "None is not a str"), "the store's own": ("$audit", "begins with [$]")}


@pytest.mark.parametrize(("event", "message"), EVENTS.values(), ids=EVENTS.keys())
def test_append_refuses_the_event(store: EventStore, event: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidEventError, match=message):
        store.append("a", [fact(), event(), fact()])
    assert store.head() == 0


@pytest.mark.parametrize(("stream_id", "message"), STREAMS.values(), ids=STREAMS.keys())
def test_append_refuses_the_stream_id(store: EventStore, stream_id: Any, message: str) -> None:
    with pytest.raises(InvalidEventError, match=f"stream_id .*{message}"):
        store.append(stream_id, facts(1))
    assert store.head() == 0


@pytest.mark.parametrize(("name", "message"), NAMES.values(), ids=NAMES.keys())
def test_append_refuses_the_type(store: EventStore, name: Any, message: str) -> None:
    with pytest.raises(InvalidEventError, match=f"type .*{message}"):
        store.append("a", [Event(name, {})])
    assert store.head() == 0


@pytest.mark.parametrize("expected", [-1, True, 1.0, "any", None, 2**63])
def test_append_refuses_the_expectation(store: EventStore, expected: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"expected_version .* is no expectation"):
        store.append("a", facts(1), expected)
    assert store.head() == 0


@pytest.mark.parametrize("events", [fact(), None, 7])
def test_append_refuses_what_is_no_list(store: EventStore, events: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"events .* are not a list"):
        store.append("a", events)
    assert store.head() == 0


def test_append_refuses_one_id_twice(store: EventStore) -> None:
    event = fact()
    with pytest.raises(InvalidEventError, match=f"event_id '{event.event_id}' stands twice"):
        store.append("a", [event, fact(), event])
    assert store.head() == 0


def test_append_refuses_one_id_twice_in_two_spellings(store: EventStore) -> None:
    one = uuid.uuid4()
    with pytest.raises(InvalidEventError, match="stands twice"):
        store.append("a", [fact(event_id=one), fact(event_id=one.hex.upper())])


@pytest.mark.parametrize("appends", [Append("a", facts(1)), 7])
def test_append_many_refuses_what_is_no_list(store: EventStore, appends: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"appends .* are not a list"):
        store.append_many(appends)


def test_append_many_refuses_what_is_no_append(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="is not an Append"):
        store.append_many([("a", facts(1))])  # type: ignore[list-item]


def test_refusal_names_field_value_and_remedy(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="schema_version 0 is not a positive 32-bit int: count shapes from 1") as refused:
        store.append("a", [fact(schema_version=0)])
    assert (refused.value.field, refused.value.value) == ("schema_version", 0)


def test_refusal_carries_the_correlation_id(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="correlation_id=trace-7") as refused:
        store.append("a", [fact(schema_version=0, correlation_id="trace-7")])
    assert refused.value.correlation_id == "trace-7"


def test_refusal_is_a_value_error_and_short(store: EventStore) -> None:
    with pytest.raises(ValueError, match="characters") as refused:
        store.append("x" * 1_000_000, facts(1))
    assert len(str(refused.value)) < 300


def test_bad_append_never_fails_a_neighbour(store: EventStore) -> None:
    def append(number: int) -> object:
        return [store.append("a", [fact(schema_version=number % 2)]) for _ in range(10)]

    answers = at_once(8, append)
    assert [isinstance(answer, InvalidEventError) for answer in answers] == [True, False] * 4
    assert store.stream_version("a") == 40


LIMITS: dict[str, tuple[str, Callable[[], Event]]] = {
    "stream_id": ("ä" * 256, fact),
    "type": ("a", lambda: Event("ä" * 128, {})),
    "ids": ("a", lambda: fact(correlation_id="x" * 256, causation_id="x" * 256)),
    "tags": ("a", lambda: fact(tags=[f"{n:0256}" for n in range(64)])),
    "data": ("a", lambda: data({"a": "x" * (MEBIBYTE - 8)})),
    "JSON bytes": ("a", lambda: data(b'{"a":"' + b"x" * (MEBIBYTE - 8) + b'"}')),
    "data and metadata": ("a", lambda: Event("T", {}, metadata={"a": "x" * (MEBIBYTE - 10)})),
    "ints": ("a", lambda: data({"a": 2**64 - 1, "b": -(2**63)})),
    "schema_version": ("a", lambda: fact(schema_version=2**31 - 1)),
    "first time": ("a", lambda: fact(occurred_at=datetime.min.replace(tzinfo=UTC))),
    "last time": ("a", lambda: fact(occurred_at=datetime.max.replace(tzinfo=UTC))),
    "null": ("a", lambda: data({"a": None, "b": "null"})),
    "mapping": ("a", lambda: data(MappingProxyType({"a": 1}))),
    "tuple of tags": ("a", lambda: fact(tags=("x", "y"))),
    "set of tags": ("a", lambda: fact(tags={"x"})),
    "spaces and signs": (" '%\\\"; --", fact),
}


@pytest.mark.parametrize(("stream_id", "event"), LIMITS.values(), ids=LIMITS.keys())
def test_append_takes_what_is_just_allowed(store: EventStore, stream_id: str, event: Callable[[], Event]) -> None:
    given = event()
    store.append(stream_id, [given])
    (row,) = everything(store)
    assert (row["stream_id"], row["type"], row["tags"]) == (stream_id, given.type, list(given.tags))


def test_append_takes_ids_in_any_spelling(store: EventStore) -> None:
    one = uuid.UUID("0f0e0d0c-0b0a-4909-8807-060504030201")
    for number, spelling in enumerate([one, str(one).upper(), one.hex, f"{{{one}}}", one.urn]):
        store.append(f"s-{number}", [fact(event_id=spelling)])
    assert {row["event_id"] for row in everything(store)} == {str(one)}


@pytest.mark.parametrize("after", [-1, None, True, "1", 1.0])
def test_reads_refuse_after(store: EventStore, after: Any) -> None:
    for read in (lambda: store.read_stream("a", after), lambda: store.read_all(after), lambda: store.subscribe(after)):
        with pytest.raises(InvalidEventError, match=r"after .* is no place to read from"):
            read()


@pytest.mark.parametrize("limit", [-1, True, "1", 1.0])
def test_reads_refuse_limit(store: EventStore, limit: Any) -> None:
    for read in (lambda: store.read_stream("a", limit=limit), lambda: store.read_all(limit=limit)):
        with pytest.raises(InvalidEventError, match=r"limit .* is no count"):
            read()


@pytest.mark.parametrize("field", ["types", "categories", "tags", "shards"])
def test_reads_refuse_one_str_for_a_list(store: EventStore, field: str) -> None:
    """Its letters would be taken for names."""
    with pytest.raises(InvalidEventError, match=f"{field} 'red' is one str"):
        store.read_all(**{field: "red"})


@pytest.mark.parametrize("shard", ["", "3f", "h3F", "hx", "h3f\n"])
def test_reads_refuse_what_is_no_shard(store: EventStore, shard: str) -> None:
    with pytest.raises(InvalidEventError, match=r"shards .* is no shard"):
        store.read_all(shards=["h", shard])


def test_position_at_refuses_a_time_without_zone(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match=r"time .* has no time zone"):
        store.position_at(datetime(2013, 1, 1))
