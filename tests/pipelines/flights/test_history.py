from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

from pipelines.flights.history import EVENT_TYPES, NAMESPACE, flight_events
from pipelines.flights.questions import COUNTS
from pipelines.flights.source import read_airports

# Every column of the source, out of the events alone.
REBUILT = """
    with flight as (
        select
            correlation_id,
            any_value(stream_id) as stream_id,
            any_value(data) filter (type = 'FlightScheduled') as scheduled,
            any_value(data) filter (type = 'FlightDeparted') as departed,
            any_value(data) filter (type = 'FlightArrived') as arrived,
            any_value(occurred_at) filter (type = 'FlightScheduled') + interval 24 hours as departs
        from events group by correlation_id
    ), timed as (
        select *, (scheduled ->> 'departs')::timestamp as local, (scheduled ->> 'arrives')::timestamp as local_arrival from flight
    )
    select
        year(local)::int as year, month(local)::int as month, day(local)::int as day,
        replace(departed ->> 'local_time', ':', '')::int as dep_time,
        strftime(local, '%H%M')::int as sched_dep_time,
        (departed ->> 'delay_min')::int as dep_delay,
        replace(arrived ->> 'local_time', ':', '')::int as arr_time,
        strftime(local_arrival, '%H%M')::int as sched_arr_time,
        (arrived ->> 'delay_min')::int as arr_delay,
        scheduled ->> 'carrier' as carrier,
        (scheduled ->> 'flight')::int as flight,
        if(stream_id like 'aircraft-%', stream_id[length('aircraft-') + 1:], null) as tailnum,
        scheduled ->> 'origin' as origin,
        scheduled ->> 'destination' as dest,
        (arrived ->> 'air_min')::int as air_time,
        (scheduled ->> 'distance_miles')::int as distance,
        hour(local)::int as hour, minute(local)::int as minute,
        date_trunc('hour', departs) as time_hour
    from timed
"""


def ask(events: pa.Table, query: str) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        numbered = events.append_column("position", pa.array(range(1, len(events) + 1)))
        connection.register("events", numbered)
        return connection.sql(query).to_arrow_table()


def rows(events: pa.Table, query: str) -> list[dict[str, Any]]:
    return ask(events, query).to_pylist()  # type: ignore[no-any-return]


def test_nothing_is_lost(flights: pl.DataFrame, history: pa.Table) -> None:
    rebuilt = pl.from_arrow(ask(history, REBUILT))
    assert_frame_equal(rebuilt, flights, check_row_order=False, check_dtypes=True)


def test_the_counts_of_the_source_come_back(history: pa.Table) -> None:
    [counts] = rows(history, COUNTS)
    assert counts == {
        "flights": 336_776,
        "without_departure": 8_255,
        "without_arrival": 8_713,
        "aircraft": 4_043,
        "without_tail_number": 2_512,
        "diverted": 1_175,
    }


def test_every_flight_is_cancelled_or_departs_and_every_departed_one_arrives_or_is_diverted(history: pa.Table) -> None:
    counted = {row["type"]: row["n"] for row in rows(history, "select type, count(*) as n from events group by type")}
    assert counted == dict(zip(EVENT_TYPES, (336_776, 328_521, 328_063, 8_255, 1_175), strict=True))
    lives = "select list(type order by position) as types from events group by correlation_id"
    ways = rows(history, f"select types, count(*) as n from ({lives}) group by types")
    assert {tuple(name.removeprefix("Flight") for name in way["types"]): way["n"] for way in ways} == {
        ("Scheduled", "Cancelled"): 8_255,
        ("Scheduled", "Departed", "Arrived"): 327_346,
        ("Scheduled", "Departed", "Diverted", "Arrived"): 717,
        ("Scheduled", "Departed", "Diverted"): 458,
    }


def test_events_are_in_business_order_and_a_flights_own_never_tie(history: pa.Table) -> None:
    assert history["occurred_at"].type == pa.timestamp("us", tz="UTC")
    assert pl.from_arrow(history)["occurred_at"].is_sorted()
    assert rows(history, "select 1 from events group by correlation_id, occurred_at having count(*) > 1") == []


def test_no_aircraft_is_faster_than_its_air_time(history: pa.Table) -> None:
    query = """
        select min(date_diff('minute', d.occurred_at, a.occurred_at) - (a.data ->> 'air_min')::int) as least,
               max(date_diff('minute', d.occurred_at, a.occurred_at) - (a.data ->> 'air_min')::int) as most
        from events a join events d using (correlation_id) where a.type = 'FlightArrived' and d.type = 'FlightDeparted'
    """
    [taxi] = rows(history, query)
    assert taxi["least"] == 5  # minutes on the taxiways, both ends; an hour's error in a time zone would show
    assert taxi["most"] < 240


def test_clocks_agree_with_instants_but_for_the_night_without_two_o_clock(history: pa.Table) -> None:
    query = """
        select correlation_id from events where type = 'FlightDeparted'
        and strftime(occurred_at at time zone 'America/New_York', '%H:%M') <> replace(data ->> 'local_time', '24:', '00:')
    """
    assert rows(history, query) == []
    night = "select * from events where type = 'FlightArrived' and correlation_id like '2013-03-09-%' and data ->> 'local_time' = '02:03'"
    [arrival] = rows(history, night)
    assert arrival["occurred_at"] == datetime(2013, 3, 10, 7, 3, tzinfo=UTC)


def test_a_flight_over_midnight_and_five_zones(history: pa.Table) -> None:
    [honolulu] = rows(history, "select * from events where correlation_id = '2013-01-01-HA-51-JFK' and type = 'FlightArrived'")
    assert honolulu["data"] == (
        '{"carrier":"HA","flight":51,"origin":"JFK","destination":"HNL","local_time":"15:16","delay_min":-14,"air_min":659}'
    )
    assert honolulu["occurred_at"] == datetime(2013, 1, 2, 1, 16, tzinfo=UTC)
    assert honolulu["tags"] == ["carrier:HA", "origin:JFK", "destination:HNL"]


def test_ids_are_uuids_of_the_flight_and_the_type(history: pa.Table) -> None:
    assert rows(history, "select event_id from events group by event_id having count(*) > 1") == []
    for event in history.slice(500_000, 20).to_pylist():
        assert event["event_id"] == str(uuid.uuid3(NAMESPACE, f"{event['correlation_id']}/{event['type']}"))


def test_told_twice_in_any_row_order_it_is_the_same(flights: pl.DataFrame) -> None:
    day = flights.filter((pl.col("month") == 11) & (pl.col("day") == 3))
    assert flight_events(day, read_airports()).equals(flight_events(day.reverse(), read_airports()))


def test_a_destination_without_a_zone_is_refused(flights: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="no time zone is known for ATL, ORD"):
        flight_events(flights.filter(pl.col("dest").is_in(["ATL", "ORD"])), read_airports().head(0))
