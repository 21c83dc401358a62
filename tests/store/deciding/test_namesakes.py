"""Two aggregates of one name never begin at each other's snapshots, and one that is made anew is no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from store import (
    Aggregate,
    Event,
    InvalidEventError,
    MemoryEventStore,
    SnapshotPolicy,
    load,
    load_as_of,
    load_at,
    load_many,
    rebuild_snapshots,
    snapshot,
    transact,
)


def count(state: int, event: Any) -> int:
    return state + 1


def total(state: int, event: Any) -> int:
    return int(state + event.payload()["v"])


def made(evolve: Any, **changes: Any) -> Aggregate[Any]:
    return Aggregate(**({"category": "w", "initial": 0, "evolve": evolve, "snapshots": SnapshotPolicy(every_events=1)} | changes))


@pytest.fixture
def store() -> Iterator[MemoryEventStore]:
    with MemoryEventStore() as store:
        store.append("w-1", [Event("A", {"v": 5}), Event("A", {"v": 6})])
        yield store


VERBS: list[Callable[[MemoryEventStore, Aggregate[Any]], object]] = [
    lambda store, aggregate: load(store, aggregate, "1"),
    lambda store, aggregate: load_at(store, aggregate, "1", 2),
    lambda store, aggregate: load_as_of(store, aggregate, "1", 2),
    lambda store, aggregate: load_many(store, aggregate, ["1"]),
    lambda store, aggregate: transact(store, aggregate, "1", lambda state: None),
    lambda store, aggregate: snapshot(store, aggregate, "1"),
    lambda store, aggregate: rebuild_snapshots(store, aggregate),
]


@pytest.mark.parametrize("verb", VERBS)
def test_another_aggregate_of_the_name_is_refused(store: MemoryEventStore, verb: Callable[[MemoryEventStore, Aggregate[Any]], object]) -> None:
    load(store, made(total), "1")
    with pytest.raises(InvalidEventError, match=r"name 'w' is that of two aggregates.*\.total.*\.count.*give one of them a name="):
        verb(store, made(count))
    verb(store, made(count, name="count"))
    assert load(store, made(total), "1").state == 11


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (made(lambda state, event: state + 1), made(lambda state, event: state + 2)),
        (made(count), made(count, initial="", state=int | str)),
        (made(count), made(partial(total))),
    ],
    ids=["lambdas", "states", "bound"],
)
def test_they_are_told_apart(store: MemoryEventStore, one: Aggregate[Any], other: Aggregate[Any]) -> None:
    load(store, one, "1")
    with pytest.raises(InvalidEventError, match="is that of two aggregates"):
        load(store, other, "1")


def _traced(evolve: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
    @wraps(evolve)
    def traced(state: int, event: Any) -> int:
        return evolve(state, event)

    return traced


class Counter:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, state: int, event: Any) -> int:
        return state + self.by

    def evolve(self, state: int, event: Any) -> int:
        return self(state, event)


@pytest.mark.parametrize(
    "anew",
    [
        lambda: made(count),
        lambda: made(_traced(count)),
        lambda: made(partial(partial(count))),
        lambda: made(lambda state, event: state + (lambda: 1)()),
        lambda: made(Counter(1)),
        lambda: made(Counter(1).evolve),
    ],
    ids=["function", "decorated", "bound", "lambda", "object", "method"],
)
def test_one_that_is_made_anew_is_no_other(store: MemoryEventStore, anew: Callable[[], Aggregate[Any]]) -> None:
    for _ in range(3):
        assert load(store, anew(), "1").state == 2
        store.deciding.snapshotter.flush()


def test_others_do_not_share_snapshots(store: MemoryEventStore) -> None:
    """Without snapshots, of another category, or of another shape."""
    load(store, made(count), "1")
    for other in (made(total, snapshots=None), made(total, category="v", name="w"), made(total, schema_version=2)):
        load(store, other, "1")
