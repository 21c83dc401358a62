"""What happened, told as events: every flight of the source, in the order of business time.

| event           | when the source says                    | occurred_at                                             |
|-----------------|-----------------------------------------|---------------------------------------------------------|
| FlightScheduled | always                                  | a day before the scheduled departure (it is not known)  |
| FlightDeparted  | a departure time                        | scheduled departure + its delay                         |
| FlightArrived   | an arrival time                         | scheduled arrival + its delay; without one (see below)  |
|                 |                                         | when the destination's clock next shows that time       |
| FlightCancelled | no departure time                       | the scheduled departure                                 |
| FlightDiverted  | a departure time but no arrival delay   | when it should have arrived: departure + planned minutes|

A diverted flight either reached its destination in the end (it has an arrival time, but neither delay nor air time)
or the source does not say what became of it. A flight is known by its day, carrier, number and origin: that is its
`correlation_id`. Ids are UUIDs of version 3, made of the flight and the event's type: telling the history again
gives the same ids.

The data of every event: `carrier, flight, origin, destination`. Besides,
FlightScheduled: `tailnum` (or null), `distance_miles`, `departs` and `arrives` (local times), `duration_min`;
FlightDeparted: `local_time` (hh:mm as reported; midnight is 24:00), `delay_min`;
FlightArrived: `local_time`, `delay_min` and `air_min` (null after a diversion).
"""

from __future__ import annotations

import uuid
from typing import Final

import duckdb
import polars as pl
import pyarrow as pa

EVENT_TYPES: Final = ("FlightScheduled", "FlightDeparted", "FlightArrived", "FlightCancelled", "FlightDiverted")

NAMESPACE: Final = uuid.UUID(bytes=b"alluvium:flights")
"""Of the event ids. Its bytes are letters, so that SQL can put them before the name and hash both."""

# The source's airports lack four on Puerto Rico and St. Thomas; both islands keep one time, all year.
_ZONES: Final = """
    create temp view zones as
    select faa, tzone as zone from airports where tzone is not null
    union all select unnest(['SJU', 'BQN', 'PSE', 'STT']), 'America/Puerto_Rico'
"""

_MACROS: Final = (
    "create temp macro minutes(hhmm) as hhmm // 100 * 60 + hhmm % 100",
    "create temp macro clock(hhmm) as format('{:02d}:{:02d}', hhmm // 100, hhmm % 100)",
    # A clock says no day: it is the first time after `since` (local) that the clock shows hhmm.
    """create temp macro next_time(since, hhmm) as
       since::date + to_minutes(minutes(hhmm)) + if(since::date + to_minutes(minutes(hhmm)) <= since, interval 1 day, interval 0 day)""",
    """create temp macro uuid_of(hash) as concat_ws('-', hash[1:8], hash[9:12], '3' || hash[14:16],
       translate(hash[17], '0123456789abcdef', '89ab89ab89ab89ab') || hash[18:20], hash[21:32])""",
    "create temp macro uuid3(name) as uuid_of(md5('alluvium:flights' || name))",
)

# Local times without a zone stand beside instants: the source counts its delays on the local clocks.
_TIMED: Final = """
    create temp table timed as
    with departures as (
        select *, time_hour + to_minutes(minute) as departs, make_timestamp(year, month, day, hour, minute, 0) as departs_local
        from flights join zones on dest = faa
    ), arrivals as (
        select *, next_time(departs at time zone zone, sched_arr_time) as arrives_local, arrives_local at time zone zone as arrives
        from departures
    )
    select *,
        concat_ws('-', departs_local::date, carrier, flight, origin) as correlation_id,
        coalesce('aircraft-' || tailnum, 'flight-' || correlation_id) as stream_id,
        ['carrier:' || carrier, 'origin:' || origin, 'destination:' || dest] as tags,
        {'carrier': carrier, 'flight': flight, 'origin': origin, 'destination': dest} as route,
        departs + to_minutes(dep_delay) as departed,
        coalesce(arrives + to_minutes(arr_delay), next_time(departed at time zone zone, arr_time) at time zone zone) as arrived
    from arrivals
"""

_TOLD: Final = """
    with told as (
        select *, 'FlightScheduled' as type, departs - interval 24 hours as occurred_at, to_json(struct_insert(route,
            tailnum := tailnum, distance_miles := distance, departs := strftime(departs_local, '%Y-%m-%dT%H:%M'),
            arrives := strftime(arrives_local, '%Y-%m-%dT%H:%M'), duration_min := date_diff('minute', departs, arrives))) as data
        from timed
        union all
        select *, 'FlightDeparted', departed, to_json(struct_insert(route, local_time := clock(dep_time), delay_min := dep_delay))
        from timed where dep_time is not null
        union all
        select *, 'FlightArrived', arrived, to_json(struct_insert(route, local_time := clock(arr_time), delay_min := arr_delay, air_min := air_time))
        from timed where arr_time is not null
        union all
        select *, 'FlightCancelled', departs, to_json(route) from timed where dep_time is null
        union all
        select *, 'FlightDiverted', departed + (arrives - departs), to_json(route) from timed where dep_time is not null and arr_delay is null
    )
    select stream_id, uuid3(correlation_id || '/' || type) as event_id, type, occurred_at, correlation_id, tags, data::varchar as data
    from told order by occurred_at, correlation_id, type
"""


def flight_events(flights: pl.DataFrame, airports: pl.DataFrame) -> pa.Table:
    """The flights' events, in business order: by `occurred_at`, then by flight. A flight's own events never tie.

    Columns: stream_id (`aircraft-<tailnum>`, or `flight-<correlation_id>` without one), event_id, type, occurred_at
    (microseconds, UTC), correlation_id, tags (carrier:, origin:, destination:), data (JSON text): see above.
    ValueError: a destination whose time zone is not known.
    """
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("flights", flights.to_arrow())
        connection.register("airports", airports.select("faa", "tzone").to_arrow())
        for statement in (_ZONES, *_MACROS):
            connection.execute(statement)
        _check_zones(connection)
        connection.execute(_TIMED)
        return connection.sql(_TOLD).to_arrow_table()


def _check_zones(connection: duckdb.DuckDBPyConnection) -> None:
    """A join would drop these flights in silence."""
    unknown = connection.sql("select distinct dest from flights where dest not in (select faa from zones) order by dest").fetchall()
    if unknown:
        raise ValueError(f"no time zone is known for {', '.join(dest for (dest,) in unknown)}: give airports with their tzone")
