"""Rebooking the passengers of a cancelled flight: a seat on a later one, the old seat given back, and word of it; or everything as it was.

    saga = rebooking(store, Target("mail", send))
    follow_reactors(store, [(reactor, ReadModel.under(warehouse, reactor.mark)) for reactor in reactors(store, saga, stuck)], stop, halted)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipelines.flights.events import FlightCancelled, FlightScheduled, flight_types
from pipelines.flights.seats import SoldOutError, book, booked_under, passengers_at, release
from projections import PATIENCE_S, Place, Reactor, Saga, Step, Stuck, Target, derived_id, saga_reactor
from store import Append, EventStore

CHOICES: Final = 20
"""So many later departures are tried."""
_NEW_YORK: Final = ZoneInfo("America/New_York")
_LOCAL: Final = "%Y-%m-%dT%H:%M"

Data = Mapping[str, Any]


class NoSeatError(Exception):
    """No later departure has a seat."""


def rebooking(store: EventStore, tell: Target, patience_s: float = PATIENCE_S) -> Saga:
    """One for each passenger of each cancelled departure. `tell` is called with the passenger, the old and the new departure."""

    def book_another(data: Data, key: str) -> Data:
        booking = derived_id(key)
        for departure in data["choices"]:
            if (to := booked_under(store, data["passenger"], booking)) is not None:    # before a crash, perhaps on one that is full now
                return {"to": to}
            with suppress(SoldOutError):
                book(store, departure, data["passenger"], booking)
        if (to := booked_under(store, data["passenger"], booking)) is None:
            raise NoSeatError(f"none of {len(data['choices'])} later departures has a seat for {data['passenger']}")
        return {"to": to}

    def release_other(data: Data, key: str) -> None:
        if (to := booked_under(store, data["passenger"], derived_id(key))) is not None:
            release(store, to, data["passenger"], derived_id(key, "undo"))

    def give_back(data: Data, key: str) -> None:
        release(store, data["departure"], data["passenger"], derived_id(key))

    def take_back(data: Data, key: str) -> None:
        book(store, data["departure"], data["passenger"], derived_id(key, "undo"))

    def tell_passenger(data: Data, key: str) -> None:
        tell(data["passenger"], data["departure"], data["to"], idempotency_key=key)

    steps = (
        Step("book another seat", book_another, release_other, refusals=(NoSeatError,)),
        Step("give the old seat back", give_back, take_back),
        Step("tell the passenger", tell_passenger, refusals=tell.refusals),
    )
    return Saga(name="rebooking", steps=steps, patience_s=patience_s)


def reactors(store: EventStore, saga: Saga, stuck: Stuck) -> tuple[Reactor, Reactor]:
    """The one that begins a rebooking for each passenger of a cancelled flight, and the one that runs them."""

    def begin(event: FlightCancelled, place: Place) -> Iterator[Append]:
        departure = _departure(_local(place.occurred_at), event)
        # As of the cancellation: asked again after a crash, when some have other seats already, it begins the same ones.
        if passengers := passengers_at(store, departure, place.position):
            choices = _later(store, event, place)
            for passenger in passengers:
                yield saga.begin(f"{departure}-{passenger}", {"departure": departure, "passenger": passenger, "choices": choices})

    begins = Reactor(
        name="cancellations",
        version=1,
        on={FlightCancelled: begin},
        event_types=flight_types,
        description="Begins to rebook the passengers of a cancelled flight.",
    )
    return begins, saga_reactor(store, saga, stuck)


def not_rebooked(store: EventStore) -> pa.Table:
    """Whom a person has to help, in the order of the log: stream_id, passenger, departure, step (that failed), why, outcome (compensated, stuck)."""
    return store.sql("""
        select
            stream_id,
            any_value(data ->> '$.data.passenger') as passenger,
            any_value(data ->> '$.data.departure') as departure,
            any_value(data ->> '$.step') filter (type = 'StepFailed') as step,
            any_value(data ->> '$.why') filter (type = 'StepFailed') as why,
            if(arg_max(type, version) = 'SagaStuck', 'stuck', 'compensated') as outcome
        from events
        where stream_id like 'saga_rebooking-%'
        group by stream_id
        having arg_max(type, version) in ('SagaStuck', 'SagaCompensated')
        order by min(position)
    """).to_arrow_table()


def _later(store: EventStore, event: FlightCancelled, place: Place) -> list[str]:
    """The next departures on the route that were scheduled and not cancelled by then."""
    tags = [f"origin:{event.origin}", f"destination:{event.destination}"]
    cancelled = _told(store, FlightCancelled, tags, place.position)
    gone = {_departure(_local(occurred_at), flight) for occurred_at, flight in cancelled}
    flights = [flight for _, flight in _told(store, FlightScheduled, tags, place.position)]
    scheduled = sorted({(flight.departs, _departure(flight.departs, flight)) for flight in flights})
    return [departure for departs, departure in scheduled if departs >= _local(place.occurred_at) and departure not in gone][:CHOICES]


def _told(store: EventStore, of: type, tags: list[str], position: int) -> list[tuple[datetime, Any]]:
    events = store.read_all(until=position, types=[of.__name__], tags=tags).read_all()
    return list(zip(events["occurred_at"].to_pylist(), flight_types.decode(events), strict=True))


def _local(moment: datetime) -> str:
    return moment.astimezone(_NEW_YORK).strftime(_LOCAL)


def _departure(departs: str, flight: FlightScheduled | FlightCancelled) -> str:
    """As seats are booked on it: one flight on one day."""
    return f"{departs[:10]}-{flight.carrier}-{flight.flight}-{flight.origin}"
