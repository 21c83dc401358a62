"""What every warehouse can know of itself, against the same asked of the log at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from projections import BUILT_IN, Projection, ReadModel, catch_up, event_types, streams
from store import Event, MemoryEventStore

ASKED = {
    "streams": """
        select stream_id, split_part(stream_id, '-', 1) as category, max(version) as version, count(*) as events,
               sum(strlen(data))::bigint as data_bytes, min(position) as first_position, max(position) as last_position,
               min(occurred_at) as first_occurred_at, max(occurred_at) as last_occurred_at,
               min(recorded_at) as first_recorded_at, max(recorded_at) as last_recorded_at, arg_max(type, position) as last_type
        from events group by all order by all
    """,
    "event_types": """
        select type, schema_version, (recorded_at at time zone 'UTC')::date as day, count(*) as events, sum(strlen(data))::bigint as data_bytes,
               min(position) as first_position, max(position) as last_position
        from events group by all order by all
    """,
}


@pytest.fixture
def busy() -> MemoryEventStore:
    """Four days of a log, in streams with and without a category."""
    days = iter(range(12))
    store = MemoryEventStore(clock=lambda: 1_700_000_000_000_000 + next(days, 11) // 3 * 86_400_000_000)
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    for number in range(12):
        events = [Event(f"Type{number % 3}", {"größe": number}, schema_version=1 + number % 2, occurred_at=moment - timedelta(hours=number))]
        store.append(("order-1", "order-2", "audit")[number % 3], events)
    return store


@pytest.mark.parametrize("projection", BUILT_IN, ids=lambda projection: projection.name)
@pytest.mark.parametrize("batch_events", [1, 5, 100])
def test_it_says_what_the_log_says(busy: MemoryEventStore, tmp_path: Path, projection: Projection, batch_events: int) -> None:
    model = ReadModel.under(str(tmp_path), projection)
    catch_up(busy, model, batch_events)
    rows: list[dict[str, Any]] = model.rows().sort_by([(name, "ascending") for name in projection.columns.names]).to_pylist()
    assert rows == busy.sql(ASKED[projection.name]).to_arrow_table().cast(projection.columns).to_pylist()
    assert len(rows) >= 3


def test_they_have_names_of_their_own() -> None:
    assert [projection.name for projection in BUILT_IN] == ["streams", "event_types"]
    assert (streams, event_types) == BUILT_IN
