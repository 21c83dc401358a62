"""The read model `routes`, in the frame form: its share of late flights follows from its other columns, which SQL could not combine."""

from __future__ import annotations

from typing import Final

import polars as pl
import pyarrow as pa

from pipelines.flights.events import flight_types
from projections import Frame, Projection

_KEY: Final = ("origin", "destination", "month")
_COUNTED: Final = {"FlightDeparted": "departed", "FlightArrived": "arrived", "FlightCancelled": "cancelled", "FlightDiverted": "diverted"}
_SAID: Final = pl.Struct({"origin": pl.String, "destination": pl.String, "delay_min": pl.Int64, "air_min": pl.Int64})


def _each(events: pl.DataFrame) -> pl.DataFrame:
    """A row of `routes` for each event."""
    said, type = pl.col("data").str.json_decode(_SAID), pl.col("type")
    month = pl.col("occurred_at").dt.convert_time_zone("America/New_York").dt.date().dt.month_start()
    told = events.select("type", month.alias("month"), said.alias("said")).unnest("said")
    return told.select(
        *_KEY,
        *((type == name).cast(pl.Int64).alias(column) for name, column in _COUNTED.items()),
        arrived_late=((type == "FlightArrived") & (pl.col("delay_min") > 15)).fill_null(False).cast(pl.Int64),
        fastest_air_min="air_min",
        slowest_air_min="air_min",
    )


def _routes(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    counted = pl.sum(*_COUNTED.values(), "arrived_late")
    rows = pl.concat([current.drop("late_share"), _each(events)]).group_by(_KEY).agg(counted, pl.min("fastest_air_min"), pl.max("slowest_air_min"))
    return rows.with_columns(late_share=pl.when(pl.col("arrived") > 0).then(pl.col("arrived_late") / pl.col("arrived")))


routes: Final = Projection(
    name="routes",
    version=1,
    description="How each route was flown in each month of New York: how often, how late (more than 15 minutes), how fast.",
    key=_KEY,
    types=tuple(_COUNTED),
    event_types=flight_types,
    columns=pa.schema(
        {
            "origin": pa.string(),
            "destination": pa.string(),
            "month": pa.date32(),
            "departed": pa.int64(),
            "arrived": pa.int64(),
            "cancelled": pa.int64(),
            "diverted": pa.int64(),
            "arrived_late": pa.int64(),
            "late_share": pa.float64(),
            "fastest_air_min": pa.int64(),
            "slowest_air_min": pa.int64(),
        }
    ),
    form=Frame(touches=_each, change=_routes),
)
