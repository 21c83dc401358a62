"""The read model `departures_by_hour`, a tumbling window: what left each airport of New York in each hour."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from projections import Projection, Sql

departures_by_hour: Final = Projection(
    name="departures_by_hour",
    version=1,
    description="What left each airport in the hour that begins at `hour`, and what was to leave and was cancelled. Late is more than 15 minutes.",
    key=("origin", "hour"),
    types=("FlightDeparted", "FlightCancelled"),
    columns=pa.schema(
        {
            "origin": pa.string(),
            "hour": pa.timestamp("us", tz="UTC"),
            "departed": pa.int64(),
            "departed_late": pa.int64(),
            "departure_delay_min": pa.int64(),
            "cancelled": pa.int64(),
        }
    ),
    form=Sql(
        select="""
            select
                data ->> 'origin' as origin,
                date_trunc('hour', occurred_at) as hour,
                (data ->> 'delay_min')::bigint as delay_min,
                (type = 'FlightDeparted')::bigint as departed,
                (delay_min > 15)::bigint as departed_late,
                coalesce(delay_min, 0) as departure_delay_min,
                (type = 'FlightCancelled')::bigint as cancelled
            from events
        """,
        combine={"departed": "count", "departed_late": "count", "departure_delay_min": "sum", "cancelled": "count"},
    ),
)
