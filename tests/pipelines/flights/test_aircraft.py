from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import polars as pl
import pytest

from pipelines.flights.aircraft import Aircraft, AircraftRefusedError, aircraft, arrive, depart, ground, occurred_by, release, replay_day
from pipelines.flights.events import (
    AircraftGrounded,
    AircraftReleased,
    FlightArrived,
    FlightCancelled,
    FlightDeparted,
    FlightDiverted,
    FlightScheduled,
    flight_types,
)
from pipelines.flights.questions import busiest_day
from store import Event, MemoryEventStore, UnknownEventTypeError, given, load

NOON = datetime(2013, 2, 4, 12, tzinfo=UTC)

scheduled = FlightScheduled("B6", 1, "JFK", "BOS", tailnum="N1", distance_miles=187, departs="2013-02-04T12:00", arrives="2013-02-04T13:00",
                            duration_min=60)  # fmt: skip
departed = FlightDeparted("B6", 1, "JFK", "BOS", local_time="12:00", delay_min=0)
arrived = FlightArrived("B6", 1, "JFK", "BOS", local_time="12:50", delay_min=-10, air_min=44)
elsewhere = FlightDeparted("B6", 2, "JFK", "LAX", local_time="14:00", delay_min=0)


def test_an_aircraft_never_heard_of_is_unseen() -> None:
    assert given(aircraft).state() == Aircraft()


def test_a_flight_there() -> None:
    assert given(aircraft, scheduled).state() == Aircraft()
    assert given(aircraft, scheduled, departed).state() == Aircraft("in the air", "BOS", "B6 1", flown=1)
    assert given(aircraft, scheduled, departed, arrived).state() == Aircraft("on the ground", "BOS", flown=1, minutes_in_the_air=44)


def test_a_diversion_that_ends_well() -> None:
    diverted = FlightDiverted("B6", 1, "JFK", "BOS")
    assert given(aircraft, departed, diverted).state().status == "diverted"
    late = FlightArrived("B6", 1, "JFK", "BOS", local_time="17:00")
    assert given(aircraft, departed, diverted, late).state() == Aircraft("on the ground", "BOS", flown=1, diverted=1)


def test_a_cancelled_flight_moves_nothing() -> None:
    assert given(aircraft, FlightCancelled("B6", 1, "JFK", "BOS")).state() == Aircraft(cancelled=1)


def test_an_arrival_after_the_next_departure_counts_but_does_not_land_it() -> None:
    state = given(aircraft, departed, elsewhere, arrived).state()
    assert state == Aircraft("in the air", "LAX", "B6 2", flown=2, minutes_in_the_air=44)


def test_on_the_ground_it_may_depart() -> None:
    given(aircraft, departed, arrived).when(partial(depart, event=elsewhere)).then(elsewhere)


def test_in_the_air_it_cannot_depart() -> None:
    given(aircraft, departed).when(partial(depart, event=elsewhere)).then_refused(AircraftRefusedError, "in the air already, as B6 1 to BOS")


def test_grounded_it_cannot_fly() -> None:
    grounded = given(aircraft, AircraftGrounded("hydraulics"))
    grounded.when(partial(depart, event=departed)).then_refused(AircraftRefusedError, "grounded: hydraulics")
    given(aircraft, AircraftGrounded("hydraulics"), AircraftReleased()).when(partial(depart, event=departed)).then(departed)


def test_it_arrives_only_as_the_flight_that_it_flies() -> None:
    given(aircraft, departed).when(partial(arrive, event=arrived)).then(arrived)
    given(aircraft, elsewhere).when(partial(arrive, event=arrived)).then_refused(AircraftRefusedError, "not in the air as B6 1, but as B6 2")
    given(aircraft).when(partial(arrive, event=arrived)).then_refused(AircraftRefusedError, "but unseen")


def test_in_the_air_it_cannot_be_grounded() -> None:
    given(aircraft, departed).when(partial(ground, reason="hydraulics")).then_refused(AircraftRefusedError, "when it has landed")
    given(aircraft, departed, arrived).when(partial(ground, reason="hydraulics")).then(AircraftGrounded("hydraulics"))


@pytest.mark.parametrize(("happened", "decide"), [((AircraftGrounded("a"),), partial(ground, reason="b")), ((), release)])
def test_what_is_so_already_is_not_decided_again(happened: tuple[Any, ...], decide: Callable[[Aircraft], Any]) -> None:
    given(aircraft, *happened).when(decide).then()


def test_the_state_in_business_time() -> None:
    with MemoryEventStore() as store:
        for hours, event in ((-24, scheduled), (0, departed), (1, arrived)):
            store.append("aircraft-N1", [flight_types.event(event, occurred_at=NOON + timedelta(hours=hours))])
        assert occurred_by(store, "N1", NOON - timedelta(hours=1)) == Aircraft()
        assert occurred_by(store, "N1", NOON).status == "in the air"
        assert occurred_by(store, "N1", NOON + timedelta(hours=1)) == load(store, aircraft, "N1").state


def test_a_real_aircraft_is_what_the_source_says(loaded: MemoryEventStore, flights: pl.DataFrame) -> None:
    week = flights.filter((pl.col("month") == 2) & pl.col("day").is_between(4, 10))
    for tailnum in ("N329JB", "N12567", "N732US"):
        own = week.filter(pl.col("tailnum") == tailnum)
        state = load(loaded, aircraft, tailnum).state
        assert state.flown == own["dep_time"].count()
        assert state.cancelled == own["dep_time"].null_count()
        assert state.minutes_in_the_air == own["air_time"].sum()


def test_every_event_of_the_history_has_its_type(loaded: MemoryEventStore) -> None:
    """What SQL has told is what the classes hold: encoded again, it is the same JSON."""
    events = loaded.read_all(limit=2_000).read_all()
    told = [(type, orjson.loads(data)) for type, data in zip(events["type"].to_pylist(), events["data"].to_pylist(), strict=True)]
    made = [(event.type, orjson.loads(bytes(event.data))) for event in map(flight_types.event, flight_types.decode(events))]
    assert made == told


def test_a_replayed_day_ends_every_flight_it_departs(loaded: MemoryEventStore) -> None:
    tailnum, day = busiest_day(loaded)
    replayed = list(replay_day(loaded, tailnum, day))
    assert {event.type for event, _ in replayed} == {"FlightDeparted", "FlightArrived"}
    assert [state.status for _, state in replayed] == ["in the air" if event.type == "FlightDeparted" else "on the ground" for event, _ in replayed]
    assert list(replay_day(loaded, tailnum, date(2012, 1, 1))) == []


def test_events_of_other_domains_stop_the_load() -> None:
    """A decision on a state that lacks them might be wrong."""
    with pytest.raises(UnknownEventTypeError, match="AircraftPainted"):
        given(aircraft, Event("AircraftPainted", {})).state()
