"""Read models of a week, in the frame form and by handlers, against plain SQL over its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.flights.longest_days import longest_days
from pipelines.flights.routes import routes
from projections import Projection, ReadModel, catch_up
from store import MemoryEventStore

ASKED = {
    "routes": """
        select
            data ->> 'origin' as origin,
            data ->> 'destination' as destination,
            date_trunc('month', occurred_at at time zone 'America/New_York')::date as month,
            count(*) filter (type = 'FlightDeparted') as departed,
            count(*) filter (type = 'FlightArrived') as arrived,
            count(*) filter (type = 'FlightCancelled') as cancelled,
            count(*) filter (type = 'FlightDiverted') as diverted,
            count(*) filter (type = 'FlightArrived' and (data ->> 'delay_min')::int > 15) as arrived_late,
            if(arrived > 0, arrived_late / arrived, null) as late_share,
            min((data ->> 'air_min')::int) as fastest_air_min,
            max((data ->> 'air_min')::int) as slowest_air_min
        from events where type <> 'FlightScheduled' group by all order by all
    """,
    "longest_days": """
        with days as (
            select
                stream_id[10:] as tailnum,
                (occurred_at at time zone 'America/New_York')::date as day,
                count(*) as flights,
                coalesce(sum((data ->> 'air_min')::int), 0) as air_min
            from events where type = 'FlightArrived' and stream_id like 'aircraft-%' group by all
        )
        select
            tailnum,
            max(day) as day,
            arg_max(flights, day) as flights,
            arg_max(air_min, day) as air_min,
            first(day order by air_min desc, day) as longest_day,
            first(flights order by air_min desc, day) as longest_flights,
            max(air_min) as longest_air_min
        from days group by tailnum order by tailnum
    """,
}


@pytest.mark.parametrize("projection", [routes, longest_days], ids=lambda projection: projection.name)
@pytest.mark.parametrize("batch_events", [1_999, 100_000])
def test_it_says_what_the_log_says(loaded: MemoryEventStore, tmp_path: Path, projection: Projection, batch_events: int) -> None:
    model = ReadModel.under(str(tmp_path), projection)
    catch_up(loaded, model, batch_events)
    rows: list[dict[str, Any]] = model.rows().sort_by([(name, "ascending") for name in projection.key]).to_pylist()
    assert rows == loaded.sql(ASKED[projection.name]).to_arrow_table().cast(projection.columns).to_pylist()
    assert len(rows) > 100
