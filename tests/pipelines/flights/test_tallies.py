"""Read models of a week that count what left, against the source itself, in Polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.flights.departures_by_hour import departures_by_hour
from pipelines.flights.tag_punctuality import tag_punctuality
from projections import Projection, ReadModel, catch_up
from store import MemoryEventStore

LEFT = pl.col("dep_time").is_not_null()
COUNTED = {
    "departed": LEFT.sum(),
    "departed_late": (pl.col("dep_delay") > 15).sum(),
    "departure_delay_min": pl.col("dep_delay").cast(pl.Int64).sum(),
    "cancelled": (~LEFT).sum(),
    "diverted": (LEFT & pl.col("arr_delay").is_null()).sum(),
}


def by_tag(week: pl.DataFrame) -> pl.DataFrame:
    said = {"carrier": "carrier", "origin": "origin", "destination": "dest"}
    tags = [pl.format(f"{name}:{{}}", pl.col(column)) for name, column in said.items()]
    return week.with_columns(tag=pl.concat_list(tags)).explode("tag").group_by("tag").agg(**COUNTED)


def by_hour(week: pl.DataFrame) -> pl.DataFrame:
    left = pl.col("time_hour") + pl.duration(minutes=pl.col("minute") + pl.col("dep_delay").fill_null(0))
    return week.group_by("origin", hour=left.dt.truncate("1h")).agg(**COUNTED).drop("diverted")


@pytest.mark.parametrize(("projection", "asked"), [(tag_punctuality, by_tag), (departures_by_hour, by_hour)], ids=["by tag", "by hour"])
@pytest.mark.parametrize("batch_events", [1_999, 100_000])
def test_it_says_what_the_source_says(
    loaded: MemoryEventStore, week: pl.DataFrame, tmp_path: Path, projection: Projection, asked: Any, batch_events: int
) -> None:
    model = ReadModel.under(str(tmp_path), projection)
    catch_up(loaded, model, batch_events)
    told = asked(week).select(projection.columns.names).sort(projection.key).to_arrow().cast(projection.columns)
    assert model.rows().sort_by([(name, "ascending") for name in projection.key]).to_pylist() == told.to_pylist()
    assert len(told) > 80
