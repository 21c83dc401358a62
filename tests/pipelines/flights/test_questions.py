from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa
import pytest

from pipelines.flights.questions import busiest_day, counts, fleet_as_of, position_at, worst_carriers
from pipelines.flights.source import read_airlines
from store import Event, MemoryEventStore

EVENING = datetime(2013, 2, 7, 18, tzinfo=ZoneInfo("America/New_York"))
BLIZZARD = datetime(2013, 2, 8, 18, tzinfo=ZoneInfo("America/New_York"))


@pytest.fixture(scope="session")
def week(flights: pl.DataFrame) -> pl.DataFrame:
    return flights.filter((pl.col("month") == 2) & pl.col("day").is_between(4, 10))


def test_counts_are_those_of_the_source(loaded: MemoryEventStore, week: pl.DataFrame) -> None:
    [row] = counts(loaded).to_pylist()
    assert row == {
        "flights": week.height,
        "without_departure": week["dep_time"].null_count(),
        "without_arrival": week["arr_time"].null_count(),
        "aircraft": week["tailnum"].drop_nulls().n_unique(),
        "without_tail_number": week["tailnum"].null_count(),
        "diverted": week.filter(pl.col("dep_time").is_not_null() & pl.col("arr_delay").is_null()).height,
    }


def test_worst_carriers_come_first_with_their_names(loaded: MemoryEventStore, week: pl.DataFrame) -> None:
    rows = worst_carriers(loaded, read_airlines(), at_least=100).to_pylist()
    departed = week.filter(pl.col("dep_time").is_not_null())
    expected = (
        departed.group_by("carrier")
        .agg(departures=pl.len(), late_share=(pl.col("dep_delay") > 15).mean())
        .filter(pl.col("departures") >= 100)
        .sort("late_share", descending=True)
    )
    assert [row["carrier"] for row in rows] == expected["carrier"].to_list()
    assert [row["late_share"] for row in rows] == pytest.approx(expected["late_share"].to_list())
    assert {row["carrier"]: row["name"] for row in rows}["UA"] == "United Air Lines Inc."


def test_the_busiest_day_is_that_of_most_departures(loaded: MemoryEventStore, week: pl.DataFrame) -> None:
    tailnum, day = busiest_day(loaded)
    departures = week.filter(pl.col("dep_time").is_not_null() & pl.col("tailnum").is_not_null()).group_by("tailnum", "year", "month", "day").len()
    [flown] = departures.filter((pl.col("tailnum") == tailnum) & (pl.date("year", "month", "day") == day))["len"]
    assert flown == departures["len"].max()
    assert isinstance(day, date)


def test_without_flights_there_is_no_busiest_day() -> None:
    with pytest.raises(LookupError, match="load the flights"):
        busiest_day(MemoryEventStore())


def test_a_moment_is_the_last_position_that_had_occurred(loaded: MemoryEventStore, blizzard: pa.Table) -> None:
    position = position_at(loaded, EVENING)
    occurred = blizzard["occurred_at"].to_pylist()
    assert occurred[position - 1] <= EVENING < occurred[position]
    assert position_at(loaded, datetime(1903, 12, 17, tzinfo=UTC)) == 0


def test_a_blizzard_empties_the_sky(loaded: MemoryEventStore) -> None:
    def in_the_air(moment: datetime) -> int:
        return sum(row["aircraft"] for row in fleet_as_of(loaded, moment).to_pylist() if row["status"] == "in the air")

    assert in_the_air(EVENING) > 100 > in_the_air(BLIZZARD)


def test_what_is_appended_later_does_not_change_the_past() -> None:
    store = MemoryEventStore()
    store.append("aircraft-N1", [Event("FlightDeparted", {"destination": "BOS"}, occurred_at=EVENING)])
    before = fleet_as_of(store, EVENING).to_pylist()
    store.append("aircraft-N1", [Event("FlightArrived", {"destination": "BOS"}, occurred_at=BLIZZARD)])
    assert fleet_as_of(store, EVENING).to_pylist() == before == [{"status": "in the air", "aircraft": 1, "most_often": "BOS"}]
    assert fleet_as_of(store, BLIZZARD).to_pylist() == [{"status": "on the ground", "aircraft": 1, "most_often": "BOS"}]
