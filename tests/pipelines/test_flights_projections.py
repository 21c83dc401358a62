from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pipelines.flights.projections import aircraft_now, carrier_punctuality
from projections import ReadModel, catch_up
from store import Event, MemoryEventStore


def event(type: str, at: str, **data: Any) -> Event:
    return Event(type, {"carrier": "UA", "origin": "EWR", "destination": "IAH", **data}, occurred_at=datetime.fromisoformat(at).replace(tzinfo=UTC))


@pytest.fixture
def log() -> MemoryEventStore:
    store = MemoryEventStore()
    store.append(
        "aircraft-N14228",
        [
            event("FlightScheduled", "2013-01-01T10:00:00"),
            event("FlightDeparted", "2013-01-01T10:17:00", delay_min=2),
            event("FlightArrived", "2013-01-01T13:30:00", delay_min=11),
            event("FlightDeparted", "2013-01-02T03:00:00", delay_min=40, destination="ORD"),
        ],
    )
    store.append("flight-2013-01-01-UA-9", [event("FlightCancelled", "2013-01-01T12:00:00")])
    return store


def test_punctuality_counts_by_the_day_in_new_york(log: MemoryEventStore, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), carrier_punctuality)
    catch_up(log, model)
    [row] = model.rows().to_pylist()
    assert row == {
        "carrier": "UA",
        "day": date(2013, 1, 1),
        "departed": 2,
        "departed_late": 1,
        "departure_delay_min": 42,
        "arrived": 1,
        "arrived_late": 0,
        "arrival_delay_min": 11,
        "cancelled": 1,
        "diverted": 0,
    }


def test_an_aircraft_is_where_its_last_event_left_it(log: MemoryEventStore, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), aircraft_now)
    catch_up(log, model)
    since = datetime(2013, 1, 2, 3, tzinfo=UTC)
    assert model.rows().to_pylist() == [{"tailnum": "N14228", "last_event": "FlightDeparted", "airport": "ORD", "since": since, "flights": 2}]
