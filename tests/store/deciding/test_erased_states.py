"""States of events that were erased: nobody saves them, and nobody gives them, though whoever should forget them was killed first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from store import Aggregate, Erasure, EventStore, EventType, EventTypes, SnapshotPolicy, load, load_many, open_store, snapshot, traces, transact
from store.deciding import snapshotter as module
from store.deciding.snapshotter import Snapshotter

WHO: dict[str, Any] = {"by": "ann", "why": "asked for it"}
SECRET = "planted-secret-value"


@dataclass(frozen=True)
class Named:
    name: str


TYPES = EventTypes(EventType("Named", Named))


def people() -> Aggregate[tuple[str, ...]]:
    """One of which no state is remembered."""
    return Aggregate(
        category="person",
        initial=(),
        evolve=lambda state, event: (*state, event.name),
        types=TYPES,
        state=tuple[str, ...],
        snapshots=SnapshotPolicy(every_events=1),
    )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[EventStore, EventStore]]:
    """One warehouse, as in two processes."""
    with open_store(tmp_path, create=True) as here, open_store(tmp_path) as there:
        yield here, there


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time just after it has saved, before it looks again."""
    monkeypatch.setattr(Snapshotter, "_forget_erased", lambda self, saved: None)


@pytest.mark.usefixtures("killed")
def test_a_state_that_waited_while_its_events_were_erased_is_not_saved(
    two: tuple[EventStore, EventStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOON_S", 60.0)
    here, there = two
    transact(here, people(), "1", lambda state: [Named(SECRET)])
    there.erase(Erasure(streams=["person-1"]), now=True, **WHO)
    transact(here, people(), "2", lambda state: [Named("plain")])
    assert here.deciding.snapshotter.flush() == 1
    assert [list(here.snapshots.newest("person", f"person-{id}"))[:1] != [] for id in "12"] == [False, True]
    here.purge()  # type: ignore[attr-defined]
    assert traces(str(tmp_path), [SECRET]) == []


@pytest.mark.parametrize("ask", [lambda store: load(store, people(), "1"), lambda store: load_many(store, people(), ["1"])["1"]], ids=["one", "many"])
def test_a_snapshot_whose_event_was_erased_is_not_used(store: EventStore, ask: Callable[[EventStore], Any]) -> None:
    for _ in range(2):
        store.append("person-1", [TYPES.event(Named(SECRET))])
    saved = snapshot(store, people(), "1")
    assert saved is not None
    store.erase(Erasure(streams=["person-1"]), **WHO)
    store.snapshots.save([saved])                  # by one who was killed then
    assert (ask(store).state, ask(store).version) == ((), 2)
    store.append("person-1", [TYPES.event(Named("plain"))])
    assert (ask(store).state, ask(store).version) == (("plain",), 3)
