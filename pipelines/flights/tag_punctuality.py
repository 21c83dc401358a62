"""The read model `tag_punctuality`, keyed by tag: an event counts for its carrier, its origin and its destination alike."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from projections import Projection, Sql

tag_punctuality: Final = Projection(
    name="tag_punctuality",
    version=1,
    description="How the flights of each tag (carrier:UA, origin:EWR, destination:IAH) kept their times. Late is more than 15 minutes.",
    key=("tag",),
    types=("FlightDeparted", "FlightCancelled", "FlightDiverted"),
    columns=pa.schema(
        {
            "tag": pa.string(),
            "departed": pa.int64(),
            "departed_late": pa.int64(),
            "departure_delay_min": pa.int64(),
            "cancelled": pa.int64(),
            "diverted": pa.int64(),
        }
    ),
    form=Sql(
        select="""
            select
                unnest(tags) as tag,
                (data ->> 'delay_min')::bigint as delay_min,
                (type = 'FlightDeparted')::bigint as departed,
                (delay_min > 15)::bigint as departed_late,
                coalesce(delay_min, 0) as departure_delay_min,
                (type = 'FlightCancelled')::bigint as cancelled,
                (type = 'FlightDiverted')::bigint as diverted
            from events
        """,
        combine={"departed": "count", "departed_late": "count", "departure_delay_min": "sum", "cancelled": "count", "diverted": "count"},
    ),
)
