"""An aggregate that cannot work is refused when it is made, with the field and the remedy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from store import Aggregate, Event, EventStore, InvalidEventError, MemoryEventStore, SnapshotPolicy, load, load_at, load_many, snapshot, transact
from tests.store.deciding.account import account


def made(**changes: Any) -> Aggregate[Any]:
    return Aggregate(**({"category": "a", "initial": 0, "evolve": lambda state, event: state} | changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("category", ""), ("category", "a-b"), ("category", 5), ("category", "\n"), ("category", "\ud800"), ("category", "a" * 257),
        ("evolve", None), ("unknown", 1), ("types", None), ("snapshots", 5), ("name", 7), ("name", "a" * 257), ("schema_version", "2"),
        ("schema_version", True), ("schema_version", 0), ("schema_version", 2**31), ("upcasters", [dict]), ("upcasters", {"1": dict}),
        ("upcasters", {1: dict}),
    ],
)  # fmt: skip
def test_bad_fields_are_refused(field: str, value: object) -> None:
    with pytest.raises(InvalidEventError) as refused:
        made(**{field: value})
    assert refused.value.field == field


@pytest.mark.parametrize("id", [None, "", 5, "\n", "\ud800", "a" * 512])
@pytest.mark.parametrize(
    "verb",
    [
        lambda store, id: load(store, account, id),
        lambda store, id: load_at(store, account, id, 0),
        lambda store, id: load_many(store, account, ["1", id]),
        lambda store, id: transact(store, account, id, lambda state: Event("Opened", {"owner": "Ada"})),
    ],
    ids=["load", "load_at", "load_many", "transact"],
)
def test_bad_ids_are_refused(verb: Callable[[EventStore, Any], object], id: object) -> None:
    with MemoryEventStore() as store:
        with pytest.raises(InvalidEventError, match="id "):
            verb(store, id)
        assert store.head() == 0


@dataclass(frozen=True)
class One:
    x: int = 0


@dataclass(frozen=True)
class Other:
    y: int = 0


@dataclass(frozen=True)
class Either:
    now: One | Other | None = None


@dataclass(frozen=True)
class Unresolved:
    inside: Unseen | None = None  # type: ignore[name-defined]  # noqa: F821


class Recursive(BaseModel):
    inside: Unseen | None = None  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("initial", [Either(), Unresolved(), threading.Lock(), [(1, 2)]])
def test_without_snapshots_a_state_may_be_anything(initial: object) -> None:
    with MemoryEventStore() as store:
        assert load(store, made(initial=initial), "1").state is initial


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"initial": Either()}, "is no type that JSON can hold"),
        ({"initial": Unresolved()}, "is no type that JSON can hold.*Unseen"),
        ({"initial": None, "state": Recursive}, "is no type that JSON can hold"),
        ({"initial": threading.Lock()}, "cannot be saved"),
        ({"initial": [(1, 2)]}, r"is read back as \[\[1, 2\]\]"),
        ({"initial": float("nan")}, "cannot be saved"),
    ],
)
def test_with_snapshots_json_must_hold_the_state(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidEventError, match=told):
        made(snapshots=SnapshotPolicy(), **changes)


class Seen(BaseModel):
    at: datetime | None = None
    miles: float = 0


class Flown(msgspec.Struct, frozen=True):
    at: datetime | None = None
    miles: float = 0


@pytest.mark.parametrize("cls", [Seen, Flown])
def test_times_and_whole_numbers_for_floats_are_saved(cls: type) -> None:
    aggregate = made(initial=cls(), evolve=lambda state, event: cls(at=datetime(2013, 1, 1, tzinfo=UTC), miles=1), snapshots=SnapshotPolicy())
    with MemoryEventStore() as store:
        store.append("a-1", [Event("Any", {})])
        saved = snapshot(store, aggregate, "1")
    assert saved is not None
    assert saved.version == 1
