"""Loading the flights' history into a store: once, however often it is run or cut short."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.flights.history import EVENT_TYPES, flight_events
from pipelines.flights.source import read_airports, read_flights
from store import EventStore, table_parts

CHUNK_EVENTS: Final = 100_000
"""Each chunk is one atomic append: what an interrupted load repeats at most."""

Progress = Callable[[int, int], None]
"""Told after every step: the events of the history in the store by now, and all of them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """`events`: appended now, in `seconds` of appending. `already_there`: found in the store, and left alone."""

    events: int
    already_there: int
    seconds: float


def load_flights(store: EventStore, progress: Progress | None = None) -> Loaded:
    """Append the whole history of 2013 in business order, but for what is there. FlightsMissingError: install the data."""
    return load(store, flight_events(read_flights(), read_airports()), progress)


def load(store: EventStore, history: pa.Table, progress: Progress | None = None) -> Loaded:
    """Append the events of this history (as `flight_events` tells it) that the store lacks, chunk by chunk."""
    lacking = missing(store, history)
    there = len(history) - len(lacking)
    tell = progress or _silent
    tell(there, len(history))
    begin = time.perf_counter()
    for start in range(0, len(lacking), CHUNK_EVENTS):
        chunk = lacking.slice(start, CHUNK_EVENTS)
        for part in table_parts(store, chunk):
            store.append_table(part)
        tell(there + start + len(chunk), len(history))
    return Loaded(len(lacking), there, time.perf_counter() - begin)


def missing(store: EventStore, history: pa.Table) -> pa.Table:
    """The events of the history that are not in the store, known by their ids, in their order."""
    if not store.head():
        return history
    known = store.sql(_KNOWN, [list(EVENT_TYPES)]).to_arrow_table()["event_id"]
    return history.filter(pc.invert(pc.is_in(history["event_id"], value_set=known)))


_KNOWN: Final = "select event_id from events where type in (select unnest(?))"


def _silent(done: int, total: int) -> None:
    pass
