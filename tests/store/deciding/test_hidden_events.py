"""States of streams that hide some of their events: law 6 holds of those that can be seen."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from store import (
    Aggregate,
    EventStore,
    InvalidEventError,
    Retention,
    SnapshotPolicy,
    StreamEndedError,
    history,
    load,
    load_as_of,
    load_at,
    load_many,
    open_store,
    snapshot,
    snapshot_due,
    transact,
    transact_many,
    verify_snapshots,
)
from store.delta.standings import Standings
from store.retention.retention import Standing
from store.retention.terms import Window
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


def test_what_is_appended_between_the_look_and_the_read_hides_at_once(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a rule each event may hide one that the remembered state has seen."""
    known = account()
    store.retention.keep("account", max_count=3, **SAID)
    deposited(store, 1, 2)
    assert load(store, known, "1").state.cents == 3
    deposited(store, 4)
    look, others = Retention.window, [lambda: deposited(store, 8, 16)]

    def then_others(self: Retention, stream_id: str) -> Window:
        window = look(self, stream_id)
        if others:
            others.pop()()
        return window

    monkeypatch.setattr(Retention, "window", then_others)
    loaded = load(store, known, "1")
    assert (loaded.state.cents, loaded.version, loaded.state.events) == (28, 5, 3)
    assert load(store, known, "1") == loaded


def test_a_stream_is_read_as_it_was_at_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more of it than its rule keeps, though others append between a look at what it hides and the read."""
    with open_store(tmp_path, create=True) as store:
        store.retention.keep("account", max_count=3, **SAID)
        deposited(store, 1, 2, 4)
        look = Standings.of

        def then_others(self: Standings, stream_id: str) -> Standing:
            standing = look(self, stream_id)
            monkeypatch.setattr(Standings, "of", look)
            deposited(store, 8, 16)
            return standing

        for backward in (False, True):
            monkeypatch.setattr(Standings, "of", then_others)
            read = store.read_stream("account-1", backward=backward)["version"].to_pylist()
            assert read == [[1, 2, 3], [5, 4, 3]][backward]
        assert store.read_stream("account-1", limit=2)["version"].to_pylist() == [5, 6]
