"""Replay in SQL: what one asks of events has a name."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from store import EVENTS, Event, EventStore, correlated, granted_macros
from store.macros import MACROS
from tests.store.facts import everything


@pytest.fixture
def flights(store: EventStore) -> EventStore:
    """Two aircraft, an airport, and a stream that only looks like an aircraft."""
    with correlated("journey-1"):
        store.append("aircraft-N1", [Event("Departed", {"from": "EWR", "to": "BOS"}, tags=["carrier:B6"])])
        store.append("airport-EWR", [Event("Left", {"by": "N1"})])
    store.append("aircraft-N1", [Event("Arrived", {"from": None, "minutes": {"air": 44}}, tags=["carrier:B6"])])
    store.append("aircraft-N2", [Event("Departed", {"from": "JFK"}, tags=["carrier:UA"])])
    store.append("aircrafts", [Event("Departed", {})])
    return store


def positions(store: EventStore, query: str, params: Any = None, **given: Any) -> list[int]:
    return [position for (position,) in store.sql(f"select position from {query}", params, **given).fetchall()]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("replay()", [1, 2, 3, 4, 5]), ("replay(1)", [2, 3, 4, 5]), ("replay(1, 3)", [2, 3]), ("replay(until := 2)", [1, 2]), ("replay(9)", []),
        ("as_of(2)", [1, 2]), ("as_of(0)", []), ("category('aircraft')", [1, 3, 4]), ("category('aircrafts')", [5]), ("category('air')", []),
        ("of_type('Left')", [2]), ("tagged('carrier:B6')", [1, 3]), ("conversation('journey-1')", [1, 2]), ("stream('aircraft-N1')", [1, 3]),
        ("STREAM ('aircraft-N1')", [1, 3]),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_found(flights: EventStore, asked: str, found: list[int]) -> None:
    assert sorted(positions(flights, asked)) == found


def test_a_replay_comes_in_the_order_of_the_log_and_with_its_columns(flights: EventStore) -> None:
    assert positions(flights, "replay()") == [1, 2, 3, 4, 5]
    assert flights.sql("from replay()").columns == flights.sql("from events").columns


def test_every_macro_keeps_to_the_place_that_the_query_is_about(flights: EventStore) -> None:
    for asked in ("replay()", "as_of(9)", "category('aircraft')", "stream('aircraft-N1')", "conversation('journey-1')"):
        assert positions(flights, asked, as_of=1) == [1], asked


def test_as_of_takes_the_time_of_an_event_and_one_before(flights: EventStore) -> None:
    for row in everything(flights):
        then = row["recorded_at"]
        by_then = [other["position"] for other in everything(flights) if other["recorded_at"] <= then]
        assert positions(flights, "as_of(?)", [then]) == by_then
        assert positions(flights, "as_of(?)", [then.isoformat()]) == by_then
    assert positions(flights, "as_of(?)", [everything(flights)[0]["recorded_at"] - timedelta(days=1)]) == []


@pytest.mark.parametrize("place", ["'soon'", "null", "''"])
def test_what_is_no_place_is_refused_with_the_remedy(flights: EventStore, place: str) -> None:
    with pytest.raises(duckdb.Error, match="as_of takes a position or a time with its zone"):
        positions(flights, f"as_of({place})")


def test_a_history_shows_the_state_after_each_event(flights: EventStore) -> None:
    told = flights.sql("select version, type, state from history('aircraft-N1')").fetchall()
    assert [(version, kind, json.loads(state)) for version, kind, state in told] == [
        (1, "Departed", {"from": "EWR", "to": "BOS"}),
        (2, "Arrived", {"to": "BOS", "minutes": {"air": 44}}),
    ]


def test_the_state_of_a_category_is_that_of_each_stream_after_its_last_event(flights: EventStore) -> None:
    told = flights.sql("select stream_id, version, position, last_type, state from state('aircraft') order by stream_id").fetchall()
    assert [(*row[:4], json.loads(row[4])) for row in told] == [
        ("aircraft-N1", 2, 3, "Arrived", {"to": "BOS", "minutes": {"air": 44}}),
        ("aircraft-N2", 1, 4, "Departed", {"from": "JFK"}),
    ]
    assert flights.sql("select version from state('aircraft') where stream_id = 'aircraft-N1'", as_of=1).fetchall() == [(1,)]


def test_macros_are_joined_as_tables_are(flights: EventStore) -> None:
    query = "select a.position, s.version from conversation('journey-1') a join stream('aircraft-N1') s using (position)"
    assert flights.sql(query).fetchall() == [(1, 1)]


def test_the_point_in_time_is_found_by_an_asof_join(flights: EventStore) -> None:
    query = """
        select e.position, s.type from replay() e asof left join stream('aircraft-N1') s on e.position >= s.position order by e.position
    """
    assert [kind for _, kind in flights.sql(query).fetchall()] == ["Departed", "Departed", "Arrived", "Arrived", "Arrived"]


def test_an_empty_log_answers_with_nothing(store: EventStore) -> None:
    for asked in ("replay()", "as_of(3)", "category('a')", "tagged('a')", "conversation('a')", "stream('a')"):
        assert positions(store, asked) == []
    assert store.sql("from state('a')").fetchall() == store.sql("from history('a')").fetchall() == []


def test_macros_of_granted_columns_read_nothing_but_the_granted_view() -> None:
    macros = granted_macros(EVENTS.names)
    assert macros.keys() == MACROS.keys()
    for selected in macros.values():
        assert not any(name in selected for name in ("located_events", "shard", "first_position", "last_position"))
    assert {called.partition("(")[0] for called in granted_macros(["position", "type"])} == {"replay", "of_type"}
