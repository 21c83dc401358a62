from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from store import Aggregate, Boundary, Event, MemoryEventStore, Query, SnapshotPolicy, load, load_query, transact, transact_query
from store.deciding import states as module
from store.deciding.boundary import Matched
from store.deciding.states import ENTRY_BYTES, CacheUse, Known, States, weigh


def known(state: object, version: int = 1, position: int = 1, tail_bytes: int = 0) -> Known:
    return Known(state, version, position, 0.0, tail_bytes=tail_bytes)


def gathered(state: tuple[Any, ...], event: Any) -> tuple[Any, ...]:
    return *state, event.data


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each state that was weighed."""
    weighed: list[Any] = []

    def noted(state: Any) -> int:
        weighed.append(state)
        return weigh(state)

    monkeypatch.setattr(module, "weigh", noted)
    return weighed


def test_hits_and_misses_are_counted() -> None:
    states = States()
    states.get("a")
    states.put("a", known(1))
    states.get("a")
    assert states.use()[:4] == (1, 1, 0, 1)


def test_the_least_recently_used_go_first() -> None:
    states = States(most_bytes=3 * (ENTRY_BYTES + weigh("x" * 1000)))
    for key in "abc":
        states.put(key, known(key * 1000))
    states.get("a")
    states.put("d", known("d" * 1000))
    assert [states.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert states.use().evicted == 1
    assert states.use().size_bytes <= states.use().most_bytes


@pytest.mark.parametrize("later", [known("x" * 10_000, 2, 2, tail_bytes=9_000), known("x" * 10_000, 50, 50)], ids=["data", "events"])
def test_a_state_that_may_have_grown_is_weighed_again(later: Known) -> None:
    states = States()
    states.put("a", known("x"))
    before = states.use().size_bytes
    states.put("a", later)
    assert states.use().size_bytes > before + 9_000


def test_a_state_that_has_hardly_grown_is_not_weighed_again(weighed: list[Any]) -> None:
    states = States()
    for version in range(1, 10):
        states.put("a", known("x" * 10_000, version, version))
    assert len(weighed) == 1


def test_little_by_little_is_growth_as_well(weighed: list[Any]) -> None:
    states = States()
    for version in range(1, 100):
        states.put("a", known("x" * 1_000 * version, version, version, tail_bytes=1_000 * version))
    assert states.use().size_bytes > 75_000
    assert len(weighed) < 40


def test_what_it_costs_to_remember_is_counted() -> None:
    """Of small states that is most of it."""
    store, counted = MemoryEventStore(), Aggregate(category="c", initial=0, evolve=lambda state, event: state + 1)
    tracemalloc.start()
    try:
        for number in range(5_000):
            load(store, counted, str(number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.5 * store.deciding.cache_use().size_bytes < taken < store.deciding.cache_use().size_bytes


def test_large_events_on_many_small_ones_are_counted() -> None:
    store, aggregate = MemoryEventStore(), Aggregate(category="c", initial=(), evolve=gathered)
    store.append("c-1", [Event("X", {"v": 1}) for _ in range(200)])
    load(store, aggregate, "1")
    for _ in range(5):
        transact(store, aggregate, "1", lambda state: Event("X", {"v": "x" * 900_000}))
    assert store.deciding.cache_use().size_bytes > 4 * 900_000


def test_a_snapshot_does_not_hide_growth() -> None:
    """What `tail_bytes` counts begins anew with each of them."""
    store, aggregate = MemoryEventStore(), Aggregate(category="c", initial=(), evolve=gathered, snapshots=SnapshotPolicy(every_events=1))
    for _ in range(5):
        transact(store, aggregate, "1", lambda state: Event("X", {"v": "x" * 100_000}))
    assert store.deciding.cache_use().size_bytes > 4 * 100_000


def test_a_boundarys_state_is_weighed_by_what_its_events_add(weighed: list[Any]) -> None:
    store, boundary, query = MemoryEventStore(), Boundary(initial=(), evolve=gathered), Query(types=["X"])
    store.append("a", [Event("X", {"v": 1}) for _ in range(1_000)])
    for _ in range(10):
        store.append("a", [Event("X", {"v": 2})])
        load_query(store, boundary, query)
    assert len(weighed) == 1
    store.append("a", [Event("X", {"v": "x" * 900_000})])
    load_query(store, boundary, query)
    assert store.deciding.cache_use().size_bytes > 900_000


def test_so_it_is_after_decisions_on_it() -> None:
    store, boundary, query = MemoryEventStore(), Boundary(initial=(), evolve=gathered), Query(types=["X"])
    store.append("a", [Event("X", {"v": 1})])
    before = load_query(store, boundary, query)
    assert (before.events, before.data_bytes) == (1, len('{"v":1}'))
    store.deciding.loader.matched(boundary, Matched(query, (*before.state, {"v": "x" * 900_000}), 2, 2, 900_015))
    assert store.deciding.cache_use().size_bytes > 900_000


def test_a_state_larger_than_all_may_be_is_not_remembered() -> None:
    """And the others need not go for it."""
    states = States(most_bytes=20_000)
    for key in "abc":
        states.put(key, known("x" * 1_000))
    states.put("c", known("x" * 30_000, 2, 2, tail_bytes=29_000))
    assert [states.get(key) is not None for key in "abc"] == [True, True, False]
    assert states.use() == CacheUse(hits=2, misses=1, evicted=1, states=2, size_bytes=2 * (ENTRY_BYTES + weigh("x" * 1_000)), most_bytes=20_000)


def test_a_newer_state_stays() -> None:
    """Two threads may have loaded at once."""
    states = States()
    states.put("a", known("new", 2, 2))
    states.put("a", known("old" * 1_000, 1, 1))
    assert states.get("a") == known("new", 2, 2)
    assert states.use().size_bytes == ENTRY_BYTES + weigh("new")


class Wide(msgspec.Struct, frozen=True):
    parts: tuple[str, ...]


@pytest.mark.parametrize("state", ["x" * 10_000, ["y" * 5_000, "z" * 5_000], {"a": "x" * 10_000}, Wide(("x" * 10_000,))])
def test_all_that_a_state_holds_has_weight(state: object) -> None:
    assert 10_000 < weigh(state) < 12_000


def test_what_a_state_holds_twice_is_weighed_once() -> None:
    shared = "x" * 10_000
    assert weigh([shared, shared]) < 12_000


def test_decisions_on_a_boundary_are_counted() -> None:
    store, boundary, query = MemoryEventStore(), Boundary(initial=(), evolve=gathered), Query(types=["X"])
    store.append("a", [Event("X", {"v": 1}) for _ in range(10)])
    load_query(store, boundary, query)
    for _ in range(5):
        transact_query(store, boundary, query, lambda state: {"b": [Event("X", {"v": "x" * 900_000})]})
    assert store.deciding.cache_use().size_bytes > 4 * 900_000
    assert load_query(store, boundary, query).events == 15
