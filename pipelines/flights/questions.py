"""Questions to the flights' log, in SQL. Every answer is Arrow."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

import polars as pl
import pyarrow as pa

from store import EventStore

COUNTS: Final = """
    select
        count(*) filter (type = 'FlightScheduled') as flights,
        flights - count(*) filter (type = 'FlightDeparted') as without_departure,
        flights - count(*) filter (type = 'FlightArrived') as without_arrival,
        count(distinct stream_id) filter (stream_id like 'aircraft-%') as aircraft,
        count(*) filter (type = 'FlightScheduled' and stream_id like 'flight-%') as without_tail_number,
        count(*) filter (type = 'FlightDiverted') as diverted
    from events
"""

WORST_CARRIERS: Final = """
    select
        data ->> 'carrier' as carrier,
        count(*) as departures,
        avg(((data ->> 'delay_min')::int > 15)::int) as late_share,
        avg((data ->> 'delay_min')::int) as mean_delay_min
    from events where type = 'FlightDeparted'
    group by carrier having departures >= ? order by late_share desc, carrier
"""

BUSIEST_DAY: Final = """
    select stream_id[length('aircraft-') + 1:] as tailnum, try_cast(correlation_id[1:10] as date) as day
    from events where type = 'FlightDeparted' and stream_id like 'aircraft-%' and day is not null
    group by all order by count(*) desc, day, tailnum limit 1
"""

POSITION: Final = "select coalesce(max(position), 0) from events where occurred_at <= ?"

FLEET: Final = """
    with latest as (
        select stream_id, max_by(type, position) as type, max_by(data ->> 'destination', position) as airport
        from events where type in ('FlightDeparted', 'FlightArrived', 'FlightDiverted') and stream_id like 'aircraft-%'
        group by stream_id
    )
    select
        case type when 'FlightDeparted' then 'in the air' when 'FlightArrived' then 'on the ground' else 'diverted' end as status,
        count(*) as aircraft,
        mode(airport order by airport) as most_often
    from latest group by status order by aircraft desc
"""


def counts(store: EventStore) -> pa.Table:
    """One row: flights, without_departure, without_arrival, aircraft, without_tail_number (flights), diverted."""
    return store.sql(COUNTS).to_arrow_table()


def worst_carriers(store: EventStore, airlines: pl.DataFrame, at_least: int = 1_000) -> pa.Table:
    """Carriers with so many departures, the worst first: carrier, departures, late_share (over 15 minutes, 0 to 1), mean_delay_min, name."""
    carriers = pl.from_arrow(store.sql(WORST_CARRIERS, [at_least]).to_arrow_table())
    return carriers.join(airlines, on="carrier", how="left", maintain_order="left").to_arrow()


def busiest_day(store: EventStore) -> tuple[str, date]:
    """The tail number that departed most often of one day's schedule, and that day. LookupError: nothing departed."""
    for tailnum, day in store.sql(BUSIEST_DAY).fetchall():
        return tailnum, day
    raise LookupError("no aircraft has departed: load the flights first")


def position_at(store: EventStore, moment: datetime) -> int:
    """The last position whose event had occurred by then (business time; `store.position_at` asks the store's own). 0 before the first.

    The log up to there is the world as of that moment, because the history is appended in business order.
    """
    [(position,)] = store.sql(POSITION, [moment]).fetchall()
    return int(position)


def fleet_as_of(store: EventStore, moment: datetime) -> pa.Table:
    """What each aircraft seen by then was doing: status, aircraft (how many), most_often (the airport it is at or bound for)."""
    return store.sql(FLEET, as_of=position_at(store, moment)).to_arrow_table()
