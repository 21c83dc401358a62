"""A history is each event of a stream, and the state on both sides of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import pydantic
import pytest

from store import (
    Aggregate,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    MemoryEventStore,
    SnapshotPolicy,
    Split,
    UnknownEventTypeError,
    differences,
    history,
    load,
    snapshot,
)
from tests.store.deciding.account import Account, Deposited, Opened, Withdrawn, account, evolve, types


@pytest.fixture
def store(store: EventStore) -> EventStore:
    store.append("account-1", [types.event(Opened("Ada")), types.event(Deposited(100)), types.event(Withdrawn(30))])
    return store


def test_each_event_has_the_state_before_and_after_it(store: EventStore) -> None:
    told = history(store, account, "1")
    assert [step.state for step in told] == [Account("Ada", 0, 1), Account("Ada", 100, 2), Account("Ada", 70, 3)]
    assert [step.before for step in told] == [account.initial, *(step.state for step in told[:2])]
    assert [(step.event.version, step.event.type) for step in told] == [(1, "Opened"), (2, "Deposited"), (3, "Withdrawn")]
    assert told[-1].state == load(store, account, "1").state
    assert told[1].changes() == {"cents": (0, 100), "events": (1, 2)}


def test_a_part_begins_with_the_state_that_was_there(store: EventStore) -> None:
    [step] = history(store, account, "1", after=1, limit=1)
    assert (step.event.version, step.before, step.state) == (2, Account("Ada", 0, 1), Account("Ada", 100, 2))
    with pytest.raises(InvalidEventError, match="at 3"):
        history(store, account, "1", after=4)


def test_a_part_after_a_snapshot_is_the_same(store: EventStore) -> None:
    saved = Aggregate(category="account", initial=Account(), evolve=evolve, types=types, snapshots=SnapshotPolicy())
    snapshot(store, saved, "1")
    store.append("account-1", [types.event(Deposited(5))])
    assert list(history(store, saved, "1", after=3)) == list(history(store, account, "1")[3:])
    assert list(history(store, saved, "1", after=2)) == list(history(store, account, "1")[2:])


def test_a_stream_without_events_has_none(store: EventStore) -> None:
    told = history(store, account, "2")
    assert (len(told), repr(told)) == (0, "account-2 · no events")


def test_an_old_event_is_one_step_however_many_it_is_lifted_to() -> None:
    store = MemoryEventStore()
    halves = Split("Twice", 1, lambda data: [("Deposited", 1, {"cents": one}) for one in data["cents"]], into=(("Deposited", 1),))
    lifted = EventTypes(EventType("Opened", Opened), EventType("Deposited", Deposited), steps=[halves])
    store.append("account-1", [types.event(Opened("Ada")), Event("Twice", {"cents": [1, 2]}), Event("Twice", {"cents": []})])
    told = history(store, Aggregate(category="account", initial=Account(), evolve=evolve, types=lifted), "1")
    assert [step.state for step in told] == [Account("Ada", 0, 1), Account("Ada", 3, 3), Account("Ada", 3, 3)]


def test_an_unknown_event_is_told_with_its_stream(store: EventStore) -> None:
    store.append("account-1", [Event("Frozen", {})])
    with pytest.raises(UnknownEventTypeError, match="account-1"):
        history(store, account, "1")


def test_what_changed_is_marked_and_what_did_not_is_told_once() -> None:
    store = MemoryEventStore()
    for event in (Opened("Ada"), Deposited(100), Deposited(0)):
        store.append("account-1", [types.event(event, occurred_at=datetime(2013, 2, 8, 12, tzinfo=UTC))])
    told = history(store, account, "1")[1:]
    assert repr(told).splitlines() == [
        "account-1 · versions 2 to 3 · the state after each event",
        "version  occurred at          type       cents  events  data",
        "      2  2013-02-08 12:00:00  Deposited  *100   *2      cents: 100",
        "      3  2013-02-08 12:00:00  Deposited  100    *3      cents: 0",
        "unchanged: owner: Ada",
    ]
    assert told._repr_html_().count('class="changed"') == 3


def test_a_long_history_is_bounded() -> None:
    store = MemoryEventStore()
    store.append("account-1", [types.event(Deposited(n)) for n in range(200)])
    told = history(store, account, "1")
    assert "… 180 more" in repr(told)
    assert told._repr_html_().count("<tr>") == 1 + 10 + 1 + 10


def test_a_state_of_many_fields_shows_some_of_them() -> None:
    store = MemoryEventStore()
    store.append("form-1", [Event(f"{n:02}", {}) for n in range(20)])
    fields: Aggregate[Any] = Aggregate(category="form", initial={}, evolve=lambda state, event: state | {f"f{event.type}": 1})
    told = repr(history(store, fields, "1"))
    assert "f11" in told
    assert "f12" not in told
    assert "8 more fields change" in told


def test_a_payload_and_a_state_cannot_write_the_page() -> None:
    store, evil = MemoryEventStore(), "<script>alert(1)</script>"
    store.append("account-1", [types.event(Opened(evil))])
    page = history(store, account, "1")._repr_html_()
    assert page.count("&lt;script&gt;") == 2
    assert "<script" not in page


class Struct(msgspec.Struct):
    a: int
    b: int = 0


@dataclass
class Plain:
    a: int
    b: int = 0


class Model(pydantic.BaseModel):
    a: int
    b: int = 0


@pytest.mark.parametrize("of", [Struct, Plain, Model, dict])
def test_states_differ_by_fields(of: Any) -> None:
    assert differences(of(a=1, b=2), of(a=1, b=3)) == {"b": (2, 3)}
    assert differences(of(a=1), of(a=1)) == {}


def test_other_states_differ_as_a_whole() -> None:
    assert differences(1, 2) == {"state": (1, 2)}
    assert differences({"a": 1}, {}) == {"a": (1, None)}
