"""Event types as a contract at append: every way to append, and what a refusal tells."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandera.polars as pandera
import polars as pl
import pyarrow as pa
import pytest

from store import Append, Event, EventStore, EventType, EventTypes, InvalidEventError, MemoryEventStore, Upcast, open_store
from tests.store.event_types.flights import NOON, Departed, Paid, types
from tests.store.facts import table

TYPES = types()
GOOD = {"flight": "UA1", "at": "2013-01-01T12:00:00Z"}


@pytest.fixture(params=["memory", "delta"])
def strict(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    """A store that takes only what TYPES can read."""
    if request.param == "memory":
        opened: EventStore = MemoryEventStore(contract=TYPES.contract())
    else:
        opened = open_store(str(tmp_path / "warehouse"), create=True, contract=TYPES.contract())
    with opened as store:
        yield store


def departed(**data: Any) -> Event:
    return Event("Departed", GOOD | data, schema_version=3)


def rows(*events: Event) -> pa.Table:
    return table(
        len(events),
        stream_id=[f"flight-{number}" for number in range(len(events))],
        type=[event.type for event in events],
        data=[json.dumps(event.data) for event in events],
        schema_version=pa.array([event.schema_version for event in events], pa.int32()),
    )


WAYS: dict[str, Callable[[EventStore, Event], Any]] = {
    "append": lambda store, event: store.append("flight-1", [departed(), event]),
    "append_many": lambda store, event: store.append_many([Append("flight-0", [departed()]), Append("flight-1", [event])]),
    "append_table": lambda store, event: store.append_table(rows(departed(), event)),
    "aio.append": lambda store, event: asyncio.run(store.aio.append("flight-1", [departed(), event])),
    "aio.append_many": lambda store, event: asyncio.run(store.aio.append_many([Append("flight-0", [departed()]), Append("flight-1", [event])])),
    "aio.append_table": lambda store, event: asyncio.run(store.aio.append_table(rows(departed(), event))),
}

REFUSED: dict[str, tuple[Event, str]] = {
    "unknown type": (Event("Unheard", {}), "type 'Unheard' .*stream 'flight-1',? is not registered: register it"),
    "newer version": (Event("Departed", GOOD, schema_version=4), "schema_version 4 .*stream 'flight-1',? is newer than Departed is known here"),
    "newer version of a retired type": (Event("Sold", {}, schema_version=2), "schema_version 2 .* is newer than Sold"),
    "missing field": (Event("Departed", {"flight": "UA1"}, schema_version=3), "data .*flight-1.* Departed 3.*missing required field `at`"),
    "wrong type": (departed(delay_min="3"), r"data.delay_min '3' .*flight-1.* Departed 3.*Expected `int`, got `str`"),
    "wrong type in a model": (Event("Paid", {"amount": "much"}), "data.amount 'much' .*flight-1.* Paid 1.*valid decimal"),
    "nested": (Event("Booked", {"flight": "a", "seat": {"number": 1.5}}, schema_version=2), "data.seat.number 1.5 .*Expected `int`, got `float`"),
    "older, a step fails": (Event("Booked", {"flight": "UA1"}), "data .*flight-1.*the step from Booked 1 raised KeyError: 'seat'"),
    "older, and does not fit when lifted": (Event("Departed", {"flight": "UA1", "at": 7}), "data.at 7 .*flight-1.* Departed 3.*Expected `datetime`"),
    "split, one does not fit": (Event("Group", {"flight": 7, "seats": [1]}), "data.flight 7 .*flight-1.* Booked 2.*Expected `str`"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(("event", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_contract_refuses(strict: EventStore, way: Callable[[EventStore, Event], Any], event: Event, message: str) -> None:
    with pytest.raises(InvalidEventError, match=message) as refused:
        way(strict, event)
    assert refused.value.remedy
    assert strict.head() == 0


ACCEPTED: dict[str, Event] = {
    "current": departed(delay_min=3),
    "older": Event("Departed", GOOD | {"delay": 60}, schema_version=2),
    "oldest": Event("Departed", GOOD),
    "renamed": Event("Sold", {"flight": "UA1", "seat": 7}),
    "split": Event("Group", {"flight": "UA1", "seats": [1, 2]}),
    "split into nothing": Event("Group", {"flight": "UA1", "seats": []}),
    "model": Event("Paid", {"amount": "1.50", "paidBy": "cash"}),
    "more than the class knows": departed(gate="A1"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize("event", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_contract_takes(strict: EventStore, way: Callable[[EventStore, Event], Any], event: Event) -> None:
    way(strict, event)
    assert strict.head() == 2
    assert len(TYPES.decode(strict.read_all().read_all())) >= 1


def test_contract_takes_what_the_types_make(strict: EventStore) -> None:
    strict.append("flight-1", [TYPES.event(Departed("UA1", NOON)), TYPES.event(Paid(amount=Decimal("1.5")))])
    assert strict.head() == 2


def test_the_stores_own_rules_come_first(strict: EventStore) -> None:
    for event in ("no event", Event("", {}), Event("Departed", {"a": float("nan")}), Event("Departed", b"[]")):
        with pytest.raises(InvalidEventError, match=r"is not an Event|is empty|not a JSON number|not an object"):
            strict.append("flight-1", [event])  # type: ignore[list-item]


def test_a_refusal_carries_the_correlation_id(strict: EventStore) -> None:
    with pytest.raises(InvalidEventError) as refused:
        strict.append("flight-1", [Event("Unheard", {}, correlation_id="c")])
    assert refused.value.correlation_id == "c"


def test_tables_without_rows_pass(strict: EventStore) -> None:
    assert strict.append_table(table(0)) == (1, 0)


def test_unknown_types_and_versions_may_pass() -> None:
    with MemoryEventStore(contract=TYPES.contract(unknown="pass")) as store:
        store.append("a", [Event("Unheard", {}), Event("Departed", {}, schema_version=4)])
        store.append_table(rows(Event("Unheard", {}), Event("Departed", {}, schema_version=4), departed()))
        with pytest.raises(InvalidEventError, match="Departed 3"):
            store.append("a", [Event("Departed", {}, schema_version=3)])
        with pytest.raises(InvalidEventError, match="Departed 3"):
            store.append_table(rows(Event("Unheard", {}), Event("Departed", {}, schema_version=3)))
        assert store.head() == 5


def test_a_store_is_not_opened_with_what_is_no_contract(tmp_path: Path) -> None:
    path = tmp_path / "warehouse"
    for opened in (lambda: MemoryEventStore(contract=TYPES), lambda: open_store(str(path), create=True, contract=TYPES)):  # type: ignore[arg-type]
        with pytest.raises(InvalidEventError, match=r"contract EventTypes.* has no check_event and check_table: give types.contract\(\)"):
            opened()
    assert not path.exists()


def test_contract_refuses_an_unknown_choice() -> None:
    with pytest.raises(InvalidEventError, match="unknown 'maybe' is no choice: take 'refuse' or 'pass'"):
        TYPES.contract(unknown="maybe")  # type: ignore[arg-type]


def test_a_table_is_told_its_first_failures_by_row() -> None:
    bad = [departed(delay_min=f"{number}") for number in range(7)]
    with MemoryEventStore(contract=TYPES.contract()) as store, pytest.raises(InvalidEventError) as refused:
        store.append_table(rows(departed(), *bad, departed()))
    error = refused.value
    assert (error.field, error.value) == ("data.delay_min", "0")
    assert error.problem.startswith("in row 1 (stream 'flight-1') breaks the contract of Departed 3: Expected `int`, got `str`; in row 2 (stream")
    assert error.problem.endswith("in row 5 (stream 'flight-5') data.delay_min '4' Expected `int`, got `str`; and 2 more")


class Punctual(pandera.DataFrameModel):
    flight: str = pandera.Field(str_startswith="UA")
    delay_min: int = pandera.Field(ge=0)


def checked(contract: Any, **fields: Any) -> MemoryEventStore:
    known = EventTypes(EventType("Departed", Departed, schema_version=3, first_version=3, contract=contract, **fields))
    return MemoryEventStore(contract=known.contract())


def test_a_types_schema_finds_all_failures_of_a_table() -> None:
    with checked(Punctual) as store, pytest.raises(InvalidEventError) as refused:
        store.append_table(rows(departed(), departed(delay_min=-1), departed(), departed(flight="XX1", delay_min=-2)))
    error = refused.value
    assert (error.field, error.value) == ("data.delay_min", "-1")
    assert "in row 1 (stream 'flight-1') breaks the contract of Departed 3: fails greater_than_or_equal_to(0); in row 3 (stream" in error.problem
    assert "data.flight 'XX1' fails str_startswith" in error.problem


def test_a_types_schema_lets_good_tables_pass() -> None:
    with checked(Punctual) as store:
        store.append_table(rows(departed(), departed(delay_min=1)))
        assert store.head() == 2


def test_a_types_schema_sees_the_stream_and_whole_columns() -> None:
    of_flights = pandera.Column(str, pandera.Check.str_startswith("flight-"))
    with checked(pandera.DataFrameSchema({"stream_id": of_flights, "flight": pandera.Column(str, unique=True)})) as store:
        store.append_table(rows(departed(), departed(flight="UA2")))
        with pytest.raises(InvalidEventError, match=r"data.flight 'UA3' in row 0"):
            store.append_table(rows(departed(flight="UA3"), departed(flight="UA3")))


def test_a_schema_that_asks_for_another_column_is_told_of_all_rows() -> None:
    with checked(pandera.DataFrameSchema({"gate": pandera.Column(str)})) as store, pytest.raises(InvalidEventError, match="'gate' in all rows"):
        store.append_table(rows(departed()))


def test_a_types_schema_sees_lifted_rows_by_their_place_in_the_table() -> None:
    step = Upcast("Departed", 1, lambda data: data | {"delay_min": data["late"]})
    known = EventTypes(EventType("Departed", Departed, schema_version=2, contract=Punctual), steps=[step])
    late = [Event("Departed", GOOD | {"late": minutes}) for minutes in (1, -5)]
    with MemoryEventStore(contract=known.contract()) as store, pytest.raises(InvalidEventError) as refused:
        store.append_table(rows(Event("Departed", GOOD, schema_version=2), *late))
    assert str(refused.value).startswith("data.delay_min '-5' in row 2 (stream 'flight-2')")


def test_a_types_schema_tells_the_place_in_a_table_of_several_types() -> None:
    known = EventTypes(EventType("Paid", Paid), EventType("Departed", Departed, schema_version=3, first_version=3, contract=Punctual))
    paid = Event("Paid", {"amount": "1"})
    with MemoryEventStore(contract=known.contract()) as store, pytest.raises(InvalidEventError, match=r"in row 3 \(stream 'flight-3'\)"):
        store.append_table(rows(paid, departed(), paid, departed(delay_min=-1)))


def test_a_mistake_in_a_schema_is_no_refusal() -> None:
    class Broken:
        def validate(self, check_obj: pl.DataFrame, *, lazy: bool) -> None:
            raise ZeroDivisionError

    with checked(Broken()) as store, pytest.raises(ZeroDivisionError):
        store.append_table(rows(departed()))


def test_a_value_too_large_for_its_column_is_refused_by_row() -> None:
    told = r"in row 1 \(stream 'flight-1'\) .* delay_min does not fit a column of int64"
    with checked(Punctual) as store, pytest.raises(InvalidEventError, match=told):
        store.append_table(rows(departed(), departed(delay_min=2**64)))


def test_pandera_and_pydantic_are_not_loaded_with_the_store() -> None:
    """pandera takes up to two seconds."""
    code = "import sys, store; print([name for name in ('pandera', 'pydantic', 'rich') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
