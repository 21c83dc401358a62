"""The typed tables of a week give in SQL what its JSON gives."""

from __future__ import annotations

import duckdb
import pytest

from pipelines.flights.events import flight_types
from projections import MemoryModel, catch_up, typed_table
from store import MemoryEventStore

FIELDS = {
    "FlightScheduled": {"tailnum": "varchar", "distance_miles": "bigint", "departs": "varchar", "duration_min": "bigint"},
    "FlightDeparted": {"local_time": "varchar", "delay_min": "bigint"},
    "FlightArrived": {"local_time": "varchar", "delay_min": "bigint", "air_min": "bigint"},
    "FlightCancelled": {},
    "FlightDiverted": {},
}


@pytest.mark.parametrize("type_name", FIELDS)
def test_it_gives_in_sql_what_the_json_gives(loaded: MemoryEventStore, type_name: str) -> None:
    model = MemoryModel(typed_table(flight_types, type_name))
    catch_up(loaded, model, 1_999)
    fields = {"carrier": "varchar", "flight": "bigint", "origin": "varchar", "destination": "varchar", **FIELDS[type_name]}
    asked = "count({0}), count(distinct {0}), min({0}), max({0})"
    sums = [f"sum({{{name}}})" for name, kind in fields.items() if kind == "bigint"]
    query = ", ".join([*(asked.replace("{0}", f"{{{name}}}") for name in fields), *sums])
    by_json = query.format(**{name: f"(data ->> '{name}')::{kind}" for name, kind in fields.items()})
    by_columns = query.format(**{name: name for name in fields})
    with duckdb.connect() as connection:
        connection.register("typed", model.rows())
        given = connection.sql(f"select destination, count(*), {by_columns} from typed group by destination order by 1").fetchall()
    by_destination = f"select data ->> 'destination', count(*), {by_json} from events where type = '{type_name}' group by 1 order by 1"
    assert given == loaded.sql(by_destination).fetchall()
    assert len(given) > 10
