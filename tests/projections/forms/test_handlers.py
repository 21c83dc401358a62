from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from projections import ApplyError, DeclarationError, Handlers, Place, Projection, ReadModel, catch_up
from store import Event, EventType, EventTypes, MemoryEventStore, RecordedEvent

COLUMNS = pa.schema({"k": pa.string(), "n": pa.int64()})
MOMENT = datetime(2013, 1, 1, 12, tzinfo=UTC)


class Counted(msgspec.Struct, frozen=True):
    by: int = 1


class Ended(msgspec.Struct, frozen=True):
    pass


TYPES = EventTypes(EventType("Counted", Counted), EventType("Ended", Ended))


def count(row: dict[str, Any] | None, event: Counted, place: Place) -> dict[str, Any]:
    row = row or {"k": place.stream_id, "n": 0}
    row["n"] += event.by
    return row


def by_stream(event: object, place: Place) -> str:
    return place.stream_id


GOOD: dict[str, Any] = {"on": {Counted: count}, "key": by_stream}


def projection(columns: pa.Schema = COLUMNS, types: EventTypes | None = TYPES, **form: Any) -> Projection:
    return Projection(name="counts", version=1, key=("k",), columns=columns, form=Handlers(**{**GOOD, **form}), event_types=types)


@pytest.fixture
def log() -> MemoryEventStore:
    store = MemoryEventStore()
    store.append("s0", [Event("Counted", {"by": 2}), Event("Noise", {}), Event("Counted", {})])
    store.append("s1", [Event("Counted", {}, correlation_id="case-7", occurred_at=MOMENT, tags=["t"])])
    return store


def applied(log: MemoryEventStore, directory: Path, declared: Projection, batch_events: int = 100) -> list[dict[str, Any]]:
    model = ReadModel.under(str(directory), declared)
    catch_up(log, model, batch_events)
    rows: list[dict[str, Any]] = model.rows().to_pylist()
    return rows


def failed(log: MemoryEventStore, directory: Path, declared: Projection) -> ApplyError:
    """Nothing is applied when an event fails."""
    model = ReadModel.under(str(directory), declared)
    with pytest.raises(ApplyError) as failure:
        catch_up(log, model)
    assert (model.checkpoint(), model.row_count()) == (0, 0)
    return failure.value


class Row(msgspec.Struct):
    k: str
    n: int


@dataclass(frozen=True)
class FrozenRow:
    k: str
    n: int


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"types": None}, "event_types", "give the EventTypes"),
        ({"on": {}}, "on", "at least one"),
        ({"on": {Row: count}}, "on", "Counted, Ended"),
        ({"on": {"Vanished": count}}, "on", "Counted, Ended"),
        ({"on": {Counted: count, "Counted": count}}, "on", "one function for each"),
        ({"on": {Counted: lambda row, event: row}}, f"handler of {Counted!r}", "row, event, place"),
        ({"on": {"Counted": None}}, "handler of 'Counted'", "row, event, place"),
        ({"key": "k"}, "key of the handlers", "event, place"),
        ({"row": int}, "row", "with k, n"),
        ({"row": FrozenRow("k", 1)}, "row", "with k, n"),
        ({"row": Counted}, "row", "with k, n"),
    ],
)
def test_a_wrong_declaration_is_refused_with_the_remedy(change: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(DeclarationError) as refusal:
        projection(**change)
    assert refusal.value.fault.field == field
    assert told in refusal.value.fault.remedy


def test_the_types_are_those_that_have_handlers(log: MemoryEventStore, tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="leave it out"):
        Projection(name="p", version=1, key=("k",), columns=COLUMNS, form=Handlers(**GOOD), event_types=TYPES, types=("Counted",))
    assert catch_up(log, ReadModel.under(str(tmp_path), projection())).events == 3


@pytest.mark.parametrize("batch_events", [1, 100])
@pytest.mark.parametrize("row", [Row, FrozenRow])
def test_rows_may_be_objects(log: MemoryEventStore, tmp_path: Path, row: Callable[..., Any], batch_events: int) -> None:
    def counted(current: Any, event: Counted, place: Place) -> Any:
        return row(place.stream_id, event.by + (current.n if current else 0))

    rows = applied(log, tmp_path, projection(on={Counted: counted}, row=row), batch_events)
    assert sorted(rows, key=lambda row: row["k"]) == [{"k": "s0", "n": 3}, {"k": "s1", "n": 1}]


@pytest.mark.parametrize("batch_events", [1, 100])
def test_none_deletes_the_row_and_it_may_come_again(log: MemoryEventStore, tmp_path: Path, batch_events: int) -> None:
    log.append("s0", [Event("Ended", {})])
    log.append("s1", [Event("Ended", {}), Event("Counted", {"by": 9}), Event("Ended", {}), Event("Counted", {"by": 5})])
    log.append("s2", [Event("Ended", {})])
    ended = projection(on={Counted: count, "Ended": lambda row, event, place: None})
    assert applied(log, tmp_path, ended, batch_events) == [{"k": "s1", "n": 5}]


def test_the_place_tells_what_the_log_says(log: MemoryEventStore, tmp_path: Path) -> None:
    places: list[Place] = []

    def kept(row: dict[str, Any] | None, event: Counted, place: Place) -> dict[str, Any]:
        places.append(place)
        return count(row, event, place)

    applied(log, tmp_path, projection(on={Counted: kept}))
    recorded = [event for event in RecordedEvent.each(log.read_all().read_all()) if event.type == "Counted"]
    names = ("position", "stream_id", "version", "event_id", "type", "occurred_at", "recorded_at", "correlation_id", "causation_id", "tags")
    assert [[getattr(place, name) for name in names] for place in places] == [[getattr(event, name) for name in names] for event in recorded]


def test_what_a_handler_raises_names_the_very_event(log: MemoryEventStore, tmp_path: Path) -> None:
    def strict(row: dict[str, Any] | None, event: Counted, place: Place) -> dict[str, Any]:
        if place.stream_id == "s1":
            raise LookupError("no such thing")
        return count(row, event, place)

    error = failed(log, tmp_path, projection(on={Counted: strict}))
    assert (error.first, error.last, error.stream_id, error.type, error.correlation_id) == (4, 4, "s1", "Counted", "case-7")
    assert "LookupError: no such thing" in str(error)
    assert isinstance(error.__cause__, LookupError)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"k": "s1"}, "columns k: give k, n"),
        ({"k": "s1", "n": 1, "m": 1}, "columns k, n, m: give k, n"),
        ({"k": "s1", "m": 1}, "without the column 'n'"),
        ({"k": "s1", "n": "1"}, "n is '1': give int"),
        ({"k": "s1", "n": True}, "n is True: give int"),
        ({"k": "s1", "n": 1.0}, "n is 1.0: give int"),
        ({"k": None, "n": 1}, "k is None: give str"),
        ({"k": "s0", "n": 1}, "key 's0' for the key 's1'"),
        ({"k": "s1", "n": 2**63}, "too large"),
        (("s1", 1), "give a dict, or None"),
    ],
)
def test_a_row_that_is_not_as_declared_names_the_very_event(log: MemoryEventStore, tmp_path: Path, given: Any, told: str) -> None:
    error = failed(log, tmp_path, projection(on={Counted: lambda row, event, place: given if place.stream_id == "s1" else count(row, event, place)}))
    assert (error.first, error.last, error.stream_id, error.type) == (4, 4, "s1", "Counted")
    assert told in str(error)


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        (pa.int32(), 2**31 - 1, [2**31]),
        (pa.float64(), 1.5, [1, "1"]),
        (pa.bool_(), True, [1]),
        (pa.date32(), date(2013, 1, 1), [MOMENT]),
        (pa.decimal128(5, 2), Decimal("-999.99"), [1, Decimal("0.001"), Decimal(1000), Decimal("NaN")]),
        (pa.decimal128(38, 2), Decimal("9" * 36 + ".25"), [Decimal("1e36")]),
        (pa.decimal128(2, 2), Decimal("0.00"), [Decimal(1)]),
        (pa.timestamp("us", tz="UTC"), MOMENT, [MOMENT.replace(tzinfo=None), MOMENT.astimezone(timezone(timedelta(hours=1))), date(2013, 1, 1)]),
        (pa.list_(pa.int32()), [1, None], [(1,), [2**31], [True], {1}]),
        (pa.struct({"a": pa.list_(pa.float64())}), {"a": [0.5]}, [{}, {"a": [1]}, {"a": None, "b": 1}, [0.5]]),
    ],
    ids=str,
)
def test_a_value_comes_back_as_it_was_given_or_is_refused(tmp_path: Path, type: pa.DataType, good: Any, bad: list[Any]) -> None:
    log = MemoryEventStore()
    log.append("s", [Event("Counted", {})])
    columns = pa.schema({"k": pa.string(), "value": type})
    given: list[Any] = [None]

    def values(row: object, event: object, place: Place) -> dict[str, Any]:
        return {"k": "s", "value": given[0]}

    declared = projection(columns, on={Counted: values})
    for number, value in enumerate((good, None)):
        given[0] = value
        assert applied(log, tmp_path / str(number), declared) == [{"k": "s", "value": value}]
    for number, value in enumerate(bad):
        given[0] = value
        assert "value is " in str(failed(log, tmp_path / f"bad {number}", declared))


@pytest.mark.parametrize("key", [None, 7, ("s0",), ["s0"]])
def test_a_key_that_is_not_as_declared_names_the_very_event(log: MemoryEventStore, tmp_path: Path, key: Any) -> None:
    keyed = projection(key=lambda event, place: key if place.stream_id == "s1" else place.stream_id)
    error = failed(log, tmp_path, keyed)
    assert (error.first, error.stream_id) == (4, "s1")
    assert "k is" in str(error)


def test_an_event_newer_than_this_code_is_refused(log: MemoryEventStore, tmp_path: Path) -> None:
    log.append("s2", [Event("Counted", {"of": "another time"}, schema_version=2)])
    error = failed(log, tmp_path, projection())
    assert (error.first, error.stream_id) == (5, "s2")
    assert "schema version 2" in str(error)


def test_an_event_that_does_not_fit_its_class_is_refused(log: MemoryEventStore, tmp_path: Path) -> None:
    log.append("s2", [Event("Counted", {"by": "much"})])
    error = failed(log, tmp_path, projection())
    assert (error.first, error.stream_id, error.type) == (5, "s2", "Counted")
    assert "`str`" in str(error)
