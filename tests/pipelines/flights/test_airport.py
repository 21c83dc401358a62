from __future__ import annotations

from functools import partial

import pytest

from pipelines.flights.aircraft import Aircraft, AircraftRefusedError
from pipelines.flights.airport import Airport, AirportClosedError, airport, close, depart, reopen
from pipelines.flights.events import AircraftGrounded, AirportClosed, AirportReopened, FlightDeparted, flight_types
from store import MemoryEventStore, given, transact

departed = FlightDeparted("B6", 1, "JFK", "BOS", local_time="12:00", delay_min=0)


def test_it_closes_and_reopens_once() -> None:
    given(airport).when(partial(close, reason="blizzard")).then(AirportClosed("blizzard"))
    given(airport, AirportClosed("blizzard")).when(partial(close, reason="again")).then()
    given(airport, AirportClosed("blizzard")).when(reopen).then(AirportReopened()).then_state(Airport())
    given(airport).when(reopen).then()


def test_from_an_open_airport_an_aircraft_departs() -> None:
    with MemoryEventStore() as store:
        done = depart(store, "N1", departed)
        assert done.state == (Aircraft("in the air", "BOS", "B6 1", flown=1), Airport())
        assert done.versions == {"aircraft-N1": 1, "airport-JFK": 0}


def test_from_a_closed_one_it_does_not() -> None:
    with MemoryEventStore() as store:
        transact(store, airport, "JFK", partial(close, reason="blizzard"))
        with pytest.raises(AirportClosedError, match="JFK is closed: blizzard"):
            depart(store, "N1", departed)
        assert store.stream_version("aircraft-N1") == 0


def test_the_aircraft_has_its_say_as_well() -> None:
    with MemoryEventStore() as store:
        store.append("aircraft-N1", [flight_types.event(AircraftGrounded("hydraulics"))])
        with pytest.raises(AircraftRefusedError, match="hydraulics"):
            depart(store, "N1", departed)
