"""States of streams that hide some of their events: law 6 holds of those that can be seen."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from store import (
    Aggregate,
    EventStore,
    InvalidEventError,
    SnapshotPolicy,
    StreamEndedError,
    history,
    load,
    load_as_of,
    load_at,
    load_many,
    snapshot,
    snapshot_due,
    transact,
    transact_many,
    verify_snapshots,
)
from tests.store.deciding.account import Account, deposit, evolve, types

SAID = {"by": "ada", "why": "a test"}


def account() -> Aggregate[Account]:
    """One of which no state is remembered."""
    return Aggregate(category="account", initial=Account(), evolve=evolve, types=types, snapshots=SnapshotPolicy(every_events=100))


def deposited(store: EventStore, *cents: int) -> None:
    for one in cents:
        transact(store, account(), "1", deposit(one))


def test_a_deleted_aggregate_begins_anew_behind_what_it_was(store: EventStore) -> None:
    known = account()
    deposited(store, 1, 2, 4)
    assert load(store, known, "1").state.cents == 7
    store.retention.delete("account-1", **SAID)
    assert (load(store, known, "1").state, load(store, known, "1").version) == (Account(), 0)
    done = transact(store, known, "1", deposit(8))
    assert (done.state.cents, done.version) == (8, 4)
    assert load(store, known, "1") == load(store, account(), "1")
    assert [(step.event.version, step.state.cents) for step in history(store, account(), "1")] == [(4, 8)]
    assert load_at(store, account(), "1", 3).state == load_as_of(store, account(), "1", 3).state == Account()
    with pytest.raises(InvalidEventError, match="version 5 is beyond stream 'account-1', which is at 4"):
        load_at(store, account(), "1", 5)


def test_a_stream_that_shows_nothing_still_has_its_version(store: EventStore) -> None:
    deposited(store, 1, 2)
    store.retention.truncate("account-1", 3, **SAID)
    for loaded in (load(store, account(), "1"), load_many(store, account(), ["1"])["1"], load_at(store, account(), "1", 2)):
        assert (loaded.state, loaded.version) == (Account(), 2)
    assert snapshot(store, account(), "1") is None
    assert transact(store, account(), "1", deposit(4)).version == 3


def test_a_snapshot_that_saw_what_is_hidden_now_is_left_alone(store: EventStore) -> None:
    deposited(store, 1, 2, 4)
    snapshot(store, account(), "1")
    store.retention.truncate("account-1", 3, **SAID)
    assert load(store, account(), "1").state.cents == load_many(store, account(), ["1"])["1"].state.cents == 4
    assert list(verify_snapshots(store, account(), ["1"])) == []


def test_a_snapshot_that_was_taken_since_is_used(store: EventStore) -> None:
    deposited(store, 1, 2, 4)
    snapshot(store, account(), "1")
    store.retention.truncate("account-1", 3, **SAID)
    deposited(store, 8)
    saved = snapshot(store, account(), "1")
    assert saved is not None
    store.snapshots.save([saved._replace(taken_at=saved.taken_at + 1, state=saved.state.replace("12", "13"))])
    assert load(store, account(), "1").state.cents == load_many(store, account(), ["1"])["1"].state.cents == 13


def test_what_a_stream_keeps_by_a_moving_rule_is_folded_each_time(store: EventStore) -> None:
    deposited(store, 1, 2, 4)
    store.retention.keep("account", max_count=2, **SAID)
    known = account()
    for cents in (8, 16, 32):
        transact(store, known, "1", deposit(cents))
        snapshot(store, known, "1")
    assert load(store, known, "1").state.cents == load(store, account(), "1").state.cents == 48
    store.retention.keep("account", **SAID)
    assert load(store, known, "1").state.cents == load(store, account(), "1").state.cents == 63


def test_streams_that_hide_all_are_not_due(store: EventStore) -> None:
    deposited(store, 1, 2, 4)
    store.retention.delete("account-1", **SAID)
    due = replace(account(), snapshots=SnapshotPolicy(every_events=1))
    assert snapshot_due(store, due) == 0


def test_nothing_is_decided_on_a_stream_that_has_ended(store: EventStore) -> None:
    deposited(store, 1)
    store.retention.close("account-1", **SAID)
    with pytest.raises(StreamEndedError):
        transact(store, account(), "1", deposit(2))
    many = transact_many(store, [(account(), "1"), (account(), "2")], lambda one, two: [[], [deposit(one.cents)(two)]])
    assert many.state[1].cents == 1


@pytest.mark.parametrize("how", ["truncate", "delete"])
def test_what_is_hidden_while_somebody_decides_is_in_no_later_state(store: EventStore, how: str) -> None:
    """The state that was decided on saw it: it is neither remembered nor saved."""
    known = replace(account(), snapshots=SnapshotPolicy(every_events=3))
    deposited(store, 1, 2, 4, 8, 16)
    hide = {"truncate": lambda: store.retention.truncate("account-1", 5, **SAID), "delete": lambda: store.retention.delete("account-1", **SAID)}
    hides = iter([hide[how]])

    def decide(state: Account) -> object:
        others = threading.Thread(target=next(hides, lambda: None))
        others.start()
        others.join()
        return deposit(32)(state)

    transact(store, known, "1", decide)
    store.deciding.snapshotter.flush()
    seen = {"truncate": 16 + 32, "delete": 32}[how]
    assert load(store, known, "1").state.cents == seen
    assert load(store, account(), "1").state.cents == seen
