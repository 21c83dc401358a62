from __future__ import annotations

import pytest

from store import Event, EventStore, InvalidEventError, Query
from store.delta.trail import Trail, steps_of


def happened(type: str, *tags: str) -> Event:
    return Event(type, {}, tags=tags)


EVENTS = [happened("A", "x"), happened("A", "x", "y"), happened("B", "y"), happened("C"), happened("B", "x", "y", "z")]

QUERIES = {
    "any event": (Query(), [1, 2, 3, 4, 5]),
    "a type": (Query(types=["A"]), [1, 2]),
    "types are alternatives": (Query(types=["A", "C"]), [1, 2, 4]),
    "a tag": (Query(tags=["x"]), [1, 2, 5]),
    "all tags must be there": (Query(tags=["x", "y"]), [2, 5]),
    "type and tag": (Query(["B"], ["x"]), [5]),
    "either": (Query(["C"]) | Query(tags=["z"]), [4, 5]),
    "either, overlapping": (Query(["A"]) | Query(tags=["y"]), [1, 2, 3, 5]),
    "nothing": (Query(["D"]), []),
}
queries = pytest.mark.parametrize(("query", "found"), QUERIES.values(), ids=QUERIES.keys())


@queries
def test_read_all_gives_what_matches(store: EventStore, query: Query, found: list[int]) -> None:
    store.append("a", EVENTS)
    assert store.read_all(query=query).read_all()["position"].to_pylist() == found
    assert store.read_all(query=query, backward=True).read_all()["position"].to_pylist() == found[::-1]
    assert store.read_all(after=2, until=4, query=query).read_all()["position"].to_pylist() == [p for p in found if 2 < p <= 4]
    assert store.read_all(types=["A", "B"], query=query).read_all()["position"].to_pylist() == [p for p in found if p != 4]


@queries
def test_an_event_alone_matches_or_not(query: Query, found: list[int]) -> None:
    assert [n for n, event in enumerate(EVENTS, 1) if query.matches(event.type, event.tags)] == found


@queries
def test_a_trail_finds_the_first_match(query: Query, found: list[int]) -> None:
    trail = Trail(10)
    for event in EVENTS:
        trail.add(steps_of([("a", "", event.type, 1, None, None, None, event.tags, "", None)]))
        trail.find(Query(["D"]), 0)
    for after in range(8, 16):
        match = trail.find(query, after)
        assert (match and match.position) == next((p + 10 for p in found if p + 10 > after), None)


def test_a_subscription_gives_what_matches(store: EventStore) -> None:
    store.append("a", EVENTS)
    with store.subscribe(query=Query(tags=["z"])) as subscription:
        assert next(subscription)["position"].to_pylist() == [5]


def test_equal_queries_are_equal() -> None:
    assert Query(["A", "B"], ["x"]) == Query(["B", "A", "A"], ["x"])
    assert len({Query(["A"]) | Query(["B"]), Query(["B"]) | Query(["A"])}) == 1
    assert Query(["A"]) != Query(["B"])


def test_a_query_reads_well() -> None:
    assert str(Query(["A", "B"], ["x"]) | Query(tags=["y"])) == "#y, or A or B with #x"
    assert str(Query()) == "any event"


@pytest.mark.parametrize("given", [{"types": "A"}, {"tags": "x"}, {"types": [""]}, {"tags": [1]}, {"tags": 1}, {"tags": ["\ud800"]}])
def test_bad_names_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidEventError, match=r"give a list of str|give a str|use printable Unicode"):
        Query(**given)  # type: ignore[arg-type]


def test_something_else_than_a_query_is_refused(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="is no Query"):
        store.read_all(query="A")  # type: ignore[arg-type]
