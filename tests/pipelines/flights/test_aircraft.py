from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from pipelines.flights.aircraft import Aircraft, initial, load_aircraft, replay_day
from pipelines.flights.questions import busiest_day
from store import Event, MemoryEventStore

NOON = datetime(2013, 2, 4, 12, tzinfo=UTC)


def event(type: str, flight: str, hours: int, **data: object) -> Event:
    return Event(type, {"destination": flight[:3], **data}, correlation_id=f"2013-02-04-{flight}", occurred_at=NOON + timedelta(hours=hours))


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


def test_an_aircraft_never_heard_of_is_unseen(store: MemoryEventStore) -> None:
    assert load_aircraft(store, "N1") == initial("N1") == Aircraft("N1", version=0, status="unseen")


def test_a_flight_there(store: MemoryEventStore) -> None:
    scheduled, departed = event("FlightScheduled", "BOS", -24), event("FlightDeparted", "BOS", 0)
    store.append("aircraft-N1", [scheduled, departed, event("FlightArrived", "BOS", 1, air_min=44)])
    assert load_aircraft(store, "N1", as_of=NOON - timedelta(hours=1)) == Aircraft("N1", version=1)
    assert load_aircraft(store, "N1", as_of=NOON) == Aircraft("N1", 2, "in the air", "BOS", "2013-02-04-BOS", flown=1)
    assert load_aircraft(store, "N1") == Aircraft("N1", 3, "on the ground", "BOS", flown=1, minutes_in_the_air=44)


def test_a_diversion_that_ends_well(store: MemoryEventStore) -> None:
    departed, diverted = event("FlightDeparted", "BOS", 0), event("FlightDiverted", "BOS", 1)
    store.append("aircraft-N1", [departed, diverted, event("FlightArrived", "BOS", 5, air_min=None)])
    assert load_aircraft(store, "N1", as_of=NOON + timedelta(hours=2)).status == "diverted"
    assert load_aircraft(store, "N1") == Aircraft("N1", 3, "on the ground", "BOS", flown=1, diverted=1)


def test_a_cancelled_flight_moves_nothing(store: MemoryEventStore) -> None:
    store.append("aircraft-N1", [event("FlightCancelled", "BOS", 0)])
    assert load_aircraft(store, "N1") == Aircraft("N1", 1, cancelled=1)


def test_an_arrival_after_the_next_departure_counts_but_does_not_land_it(store: MemoryEventStore) -> None:
    store.append("aircraft-N1", [event("FlightDeparted", "BOS", 0), event("FlightDeparted", "LAX", 1), event("FlightArrived", "BOS", 2, air_min=44)])
    assert load_aircraft(store, "N1") == Aircraft("N1", 3, "in the air", "LAX", "2013-02-04-LAX", flown=2, minutes_in_the_air=44)


def test_an_unknown_event_changes_only_the_version(store: MemoryEventStore) -> None:
    store.append("aircraft-N1", [event("AircraftPainted", "BOS", 0)])
    assert load_aircraft(store, "N1") == Aircraft("N1", 1)


def test_a_real_aircraft_is_what_the_source_says(loaded: MemoryEventStore, flights: pl.DataFrame) -> None:
    week = flights.filter((pl.col("month") == 2) & pl.col("day").is_between(4, 10))
    for tailnum in ("N329JB", "N12567", "N732US"):
        own = week.filter(pl.col("tailnum") == tailnum)
        aircraft = load_aircraft(loaded, tailnum)
        assert aircraft.flown == own["dep_time"].count()
        assert aircraft.cancelled == own["dep_time"].null_count()
        assert aircraft.minutes_in_the_air == own["air_time"].sum()
        assert aircraft.version == loaded.stream_version(f"aircraft-{tailnum}")


def test_a_replayed_day_ends_every_flight_it_departs(loaded: MemoryEventStore) -> None:
    tailnum, day = busiest_day(loaded)
    replayed = list(replay_day(loaded, tailnum, day))
    assert {event.type for event, _ in replayed} == {"FlightDeparted", "FlightArrived"}
    assert [event.version for event, _ in replayed] == [aircraft.version for _, aircraft in replayed]
    assert list(replay_day(loaded, tailnum, date(2012, 1, 1))) == []
