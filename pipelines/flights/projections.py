"""What the flights' read models in SQL hold."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from projections import Projection, Sql

carrier_punctuality: Final = Projection(
    name="carrier_punctuality",
    version=1,
    description="How each carrier kept its times on each day of New York. Late is more than 15 minutes.",
    key=("carrier", "day"),
    types=("FlightDeparted", "FlightArrived", "FlightCancelled", "FlightDiverted"),
    columns=pa.schema(
        {
            "carrier": pa.string(),
            "day": pa.date32(),
            "departed": pa.int64(),
            "departed_late": pa.int64(),
            "departure_delay_min": pa.int64(),
            "arrived": pa.int64(),
            "arrived_late": pa.int64(),
            "arrival_delay_min": pa.int64(),
            "cancelled": pa.int64(),
            "diverted": pa.int64(),
        }
    ),
    form=Sql(
        select="""
            select
                data ->> 'carrier' as carrier,
                (occurred_at at time zone 'America/New_York')::date as day,
                (data ->> 'delay_min')::bigint as delay_min,
                (type = 'FlightDeparted')::bigint as departed,
                (type = 'FlightDeparted' and delay_min > 15)::bigint as departed_late,
                if(type = 'FlightDeparted', delay_min, 0) as departure_delay_min,
                (type = 'FlightArrived')::bigint as arrived,
                (type = 'FlightArrived' and delay_min > 15)::bigint as arrived_late,
                if(type = 'FlightArrived', delay_min, 0) as arrival_delay_min,
                (type = 'FlightCancelled')::bigint as cancelled,
                (type = 'FlightDiverted')::bigint as diverted
            from events
        """,
        combine={
            "departed": "count",
            "departed_late": "count",
            "departure_delay_min": "sum",
            "arrived": "count",
            "arrived_late": "count",
            "arrival_delay_min": "sum",
            "cancelled": "count",
            "diverted": "count",
        },
    ),
)

aircraft_now: Final = Projection(
    name="aircraft_now",
    version=1,
    description="Where each aircraft is now: on the ground at an airport, or in the air towards one.",
    key=("tailnum",),
    types=("FlightDeparted", "FlightArrived", "FlightDiverted"),
    categories=("aircraft",),
    columns=pa.schema(
        {
            "tailnum": pa.string(),
            "last_event": pa.string(),
            "airport": pa.string(),
            "since": pa.timestamp("us", tz="UTC"),
            "flights": pa.int64(),
        }
    ),
    form=Sql(
        select="""
            select
                stream_id[length('aircraft-') + 1:] as tailnum,
                type as last_event,
                data ->> 'destination' as airport,
                occurred_at as since,
                (type = 'FlightDeparted')::bigint as flights,
                position
            from events
        """,
        combine={"last_event": "last", "airport": "last", "since": "last", "flights": "count"},
    ),
)
