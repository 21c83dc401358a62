"""Snapshots shorten loads and never change what they give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store import (
    Aggregate,
    Event,
    EventStore,
    InvalidEventError,
    MemoryEventStore,
    SnapshotPolicy,
    StorageError,
    load,
    load_all,
    load_as_of,
    load_at,
    load_many,
    open_store,
    rebuild_snapshots,
    snapshot,
    snapshot_due,
    transact,
    verify_snapshots,
)
from store.observer import Failed, Measurement, SnapshotIgnored, Snapshotted
from tests.store.deciding.account import Account, Deposited, Opened, account, deposit, evolve, types


def saving(policy: SnapshotPolicy | None = None, **changes: Any) -> Aggregate[Any]:
    """The account, with snapshots. Each is another aggregate to the cache: what it loads is not in memory yet."""
    given = {"category": "account", "initial": Account(), "evolve": evolve, "types": types}
    return Aggregate(**(given | {"snapshots": policy or SnapshotPolicy()} | changes))


def filled(store: EventStore, events: int, id: str = "1") -> None:
    store.append(f"account-{id}", [types.event(Opened("Ada")), *(types.event(Deposited(1)) for _ in range(events - 1))])


class Folded:
    """`evolve`, counting the events that it is given."""

    def __init__(self) -> None:
        update_wrapper(self, evolve)
        self.events = 0

    def __call__(self, state: Account, event: Any) -> Account:
        self.events += 1
        return evolve(state, event)


def test_a_load_begins_at_the_snapshot(store: EventStore) -> None:
    filled(store, 10)
    saved = snapshot(store, saving(), "1")
    assert saved is not None
    assert (saved.version, saved.position, saved.stream_id) == (10, 10, "account-1")
    store.append("account-1", [types.event(Deposited(5))])
    folded = Folded()
    assert load(store, saving(evolve=folded), "1").state == Account("Ada", 14, 11)
    assert folded.events == 1


def test_a_stream_without_events_is_not_saved(store: EventStore) -> None:
    assert snapshot(store, saving(), "1") is None


def test_without_a_policy_there_are_no_snapshots(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="no snapshot policy"):
        snapshot(store, account, "1")


@pytest.mark.parametrize(
    "policy",
    [
        SnapshotPolicy(every_events=5),
        SnapshotPolicy(every_bytes=60),
        SnapshotPolicy(slow_load_ms=0.000001),
        SnapshotPolicy(when=lambda state: state.cents > 3),
    ],
    ids=["events", "bytes", "slow", "predicate"],
)
def test_a_load_saves_when_the_policy_asks(store: EventStore, policy: SnapshotPolicy) -> None:
    filled(store, 6)
    load(store, saving(policy), "1")
    store.deciding.snapshotter.flush()
    assert [one.version for one in store.snapshots.newest("account", "account-1")] == [6]


@pytest.mark.parametrize(
    "policy",
    [SnapshotPolicy(every_events=7), SnapshotPolicy(every_bytes=10_000), SnapshotPolicy(slow_load_ms=60_000), SnapshotPolicy(), None],
    ids=["events", "bytes", "slow", "on demand", "never"],
)
def test_a_load_saves_nothing_before_that(store: EventStore, policy: SnapshotPolicy | None) -> None:
    filled(store, 6)
    load(store, Aggregate(category="account", initial=Account(), evolve=evolve, types=types, snapshots=policy), "1")
    assert store.deciding.snapshotter.flush() == 0


def test_decisions_save_every_so_many_events(store: EventStore) -> None:
    aggregate = saving(SnapshotPolicy(every_events=5, keep=10))
    for _ in range(11):
        transact(store, aggregate, "1", deposit(1))
        store.deciding.snapshotter.flush()
    assert [one.version for one in store.snapshots.newest("account", "account-1")] == [10, 5]


def test_a_state_that_waits_gives_way_to_a_newer_one(store: EventStore) -> None:
    aggregate = saving(SnapshotPolicy(every_events=1))
    snapshotter = store.deciding.snapshotter
    for _ in range(3):
        transact(store, aggregate, "1", deposit(1))
    snapshotter.flush()
    assert next(iter(store.snapshots.newest("account", "account-1"))).version == 3


def test_closing_saves_what_waits(tmp_path: Path) -> None:
    aggregate = saving(SnapshotPolicy(every_events=1))
    with open_store(str(tmp_path), create=True) as store:
        transact(store, aggregate, "1", deposit(1))
    with open_store(str(tmp_path)) as store:
        assert [one.version for one in store.snapshots.newest("account", "account-1")] == [1]


class Purse(msgspec.Struct, frozen=True):
    """The account in another shape."""

    holder: str | None = None
    balance: float = 0
    events: int = 0


def purse_evolve(state: Purse, event: Any) -> Purse:
    after = evolve(Account(state.holder, round(state.balance * 100), state.events), event)
    return Purse(after.owner, after.cents / 100, after.events)


def test_an_older_shape_is_lifted(store: EventStore) -> None:
    filled(store, 4)
    snapshot(store, saving(), "1")
    folded = Folded()
    step = lambda old: {"holder": old["owner"], "balance": old["cents"] / 100, "events": old["events"]}  # noqa: E731
    purse = saving(initial=Purse(), schema_version=2, upcasters={1: step}, evolve=lambda state, event: folded(state, event))
    assert load(store, purse, "1").state == Purse("Ada", 0.03, 4)
    assert folded.events == 0


@pytest.fixture
def told(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[Measurement]:
    """What the loads of the store tell."""
    told: list[Measurement] = []
    monkeypatch.setattr(store.deciding.loader._observer, "record", told.append)
    return told


def _broken(old: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("balance")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema_version": 2}, "no step lifts schema_version 1 to 2"),
        ({"schema_version": 2, "upcasters": {1: _broken}}, "KeyError"),
        ({"schema_version": 2, "upcasters": {1: lambda old: {"cents": "many"}}}, "cannot be read"),
        ({"schema_version": 2, "upcasters": {1: lambda old: None}}, "cannot be read"),
    ],
    ids=["no step", "broken step", "wrong step", "no state"],
)
def test_what_cannot_be_read_is_ignored_and_replaced(store: EventStore, told: list[Measurement], changes: dict[str, Any], reason: str) -> None:
    filled(store, 4)
    snapshot(store, saving(), "1")
    assert load(store, saving(**changes), "1").state == Account("Ada", 3, 4)
    [ignored] = [one for one in told if isinstance(one, SnapshotIgnored)]
    assert (ignored.stream_id, ignored.version, ignored.schema_version) == ("account-1", 4, 1)
    assert reason in ignored.reason
    store.deciding.snapshotter.flush()
    assert next(iter(store.snapshots.newest("account", "account-1"))).schema_version == 2


def test_what_newer_code_saved_is_ignored_and_left_alone(store: EventStore, told: list[Measurement]) -> None:
    """While old and new code run side by side they must not replace each other's snapshots over and over."""
    filled(store, 4)
    snapshot(store, saving(schema_version=2), "1")
    assert load(store, saving(), "1").state == Account("Ada", 3, 4)
    assert any(isinstance(one, SnapshotIgnored) for one in told)
    assert store.deciding.snapshotter.flush() == 0


def test_an_older_snapshot_serves_where_the_newest_cannot_be_read(store: EventStore) -> None:
    filled(store, 4)
    snapshot(store, saving(), "1")
    store.append("account-1", [types.event(Deposited(1))])
    snapshot(store, saving(schema_version=2), "1")
    folded = Folded()
    assert load(store, saving(evolve=folded), "1").version == 5
    assert folded.events == 1


def test_a_snapshot_of_another_log_is_ignored(store: EventStore, told: list[Measurement]) -> None:
    """One that was left behind where a log was restored to an earlier state and went on differently."""
    filled(store, 4)
    saved = snapshot(store, saving(), "1")
    assert saved is not None
    filled(store, 3, "2")
    beyond = [saved._replace(stream_id="account-2", version=9, position=99), saved._replace(stream_id="account-2", version=2, position=99)]
    store.snapshots.save(beyond)
    assert load_many(store, saving(), ["1", "2"])["2"].state == Account("Ada", 2, 3)
    assert load(store, saving(), "2").state == Account("Ada", 2, 3)
    assert [one.version for one in told if isinstance(one, SnapshotIgnored)][:2] == [9, 2]


@pytest.mark.parametrize("keep", [1, 2])
def test_snapshots_ahead_of_the_log_are_replaced(store: EventStore, told: list[Measurement], keep: int) -> None:
    """Where a log was restored to an earlier state: theirs are the higher versions, of which the newest would be kept."""
    filled(store, 4)
    aggregate = saving(SnapshotPolicy(keep=keep))
    with MemoryEventStore() as before:
        filled(before, 4)
        for _ in range(3):
            before.append("account-1", [types.event(Deposited(1))])
            saved = snapshot(before, aggregate, "1")
            assert saved is not None
            store.snapshots.save([saved])
    assert load(store, aggregate, "1").version == 4
    assert store.deciding.snapshotter.flush() == 1
    assert [one.version for one in store.snapshots.newest("account", "account-1")] == [4]
    told.clear()
    folded = Folded()
    assert load(store, saving(SnapshotPolicy(keep=keep), evolve=folded), "1").version == 4
    assert folded.events == 0
    assert not any(isinstance(one, SnapshotIgnored) for one in told)


def test_a_look_at_the_past_drops_no_snapshot(store: EventStore) -> None:
    filled(store, 4)
    saved = snapshot(store, saving(SnapshotPolicy(keep=2)), "1")
    assert saved is not None
    store.snapshots.save([saved._replace(version=2, position=2)])
    assert load_at(store, saving(), "1", 3).version == 3
    assert [one.version for one in store.snapshots.newest("account", "account-1")] == [4, 2]


def test_a_load_goes_on_where_storage_does_not_let_snapshots_go(store: EventStore, told: list[Measurement], monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise StorageError("the disk is read-only")

    filled(store, 4)
    saved = snapshot(store, saving(), "1")
    assert saved is not None
    store.snapshots.save([saved._replace(version=9, position=99)])
    with monkeypatch.context() as patch:
        patch.setattr(type(store.snapshots), "forget", refused)
        assert load(store, saving(), "1").version == 4
        assert store.deciding.snapshotter.flush() == 0
    assert store.deciding.snapshotter.flush() == 1
    assert [one.error for one in told if isinstance(one, Failed)] == ["the disk is read-only"]


def test_a_snapshot_of_another_event_at_the_same_place_is_ignored(store: EventStore, told: list[Measurement]) -> None:
    """Two logs that begin alike, or one that was restored to an earlier state, have events of their own at one place."""
    store.append("account-1", [types.event(Deposited(1))])
    with MemoryEventStore() as other:
        other.append("account-1", [types.event(Deposited(1_000))])
        saved = snapshot(other, saving(), "1")
    assert saved is not None
    store.snapshots.save([saved])
    assert load_many(store, saving(), ["1"])["1"].state.cents == 1
    assert load_at(store, saving(), "1", 1).state.cents == 1
    assert load(store, saving(), "1").state.cents == 1
    reason = f"event {saved.event_id} is not version 1 of account-1 in this log"
    assert [one.reason for one in told if isinstance(one, SnapshotIgnored)] == [reason, reason]


def test_a_state_that_json_changes_is_not_saved(store: EventStore) -> None:
    """Or loads by snapshot would give another state than the full fold."""
    pairs = Aggregate(category="account", initial={}, evolve=lambda state, event: {"pair": (1, 2)}, types=types, snapshots=SnapshotPolicy())
    filled(store, 1)
    with pytest.raises(InvalidEventError, match=r"\(1, 2\).*is read back as.*\[1, 2\]"):
        snapshot(store, pairs, "1")


def test_a_state_that_comes_back_as_another_type_is_not_saved(store: EventStore) -> None:
    """It is equal, so that the load would seem right until `evolve` relies on what it is."""
    counted = Aggregate(category="account", initial={"a": 1}, evolve=lambda state, event: Counter(state), types=types, snapshots=SnapshotPolicy())
    filled(store, 1)
    with pytest.raises(InvalidEventError, match=r"Counter\(.*is read back as \{'a': 1\}"):
        snapshot(store, counted, "1")


def test_a_state_over_the_limit_is_not_saved(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.snapshots.snapshot.MAX_STATE_BYTES", 10)
    filled(store, 1)
    with pytest.raises(InvalidEventError, match="over the limit of 10"):
        snapshot(store, saving(), "1")


def test_lifted_states_keep_large_numbers(store: EventStore) -> None:
    filled(store, 1)
    grown: Any = lambda state, event: {"n": 3 * 2**80}  # noqa: E731
    snapshot(store, saving(initial={"n": 3}, evolve=grown), "1")
    lifted = saving(initial={"n": 3}, evolve=grown, schema_version=2, upcasters={1: lambda old: old})
    assert load(store, lifted, "1").state == {"n": 3 * 2**80}


def test_a_state_that_cannot_be_saved_does_not_keep_others_from_it(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Measurement] = []
    monkeypatch.setattr(store.deciding.snapshotter._observer, "record", told.append)
    pairs = Aggregate(
        category="pair", initial={}, evolve=lambda state, event: {"pair": (1, 2)}, types=types, snapshots=SnapshotPolicy(every_events=1)
    )
    filled(store, 1)
    store.append("pair-1", [types.event(Opened("Ada"))])
    load(store, pairs, "1")
    load(store, saving(SnapshotPolicy(every_events=1)), "1")
    assert store.deciding.snapshotter.flush() == 1
    assert [type(one) for one in told if isinstance(one, Failed | Snapshotted)] == [Failed, Snapshotted]




def test_the_past_is_loaded_from_snapshots_too(store: EventStore) -> None:
    policy = SnapshotPolicy(keep=10)
    for _ in range(3):
        store.append("account-1", [types.event(Deposited(1)) for _ in range(4)])
        snapshot(store, saving(policy), "1")
    at, as_of = Folded(), Folded()
    assert load_at(store, saving(policy, evolve=at), "1", 6).state.cents == 6
    assert load_as_of(store, saving(policy, evolve=as_of), "1", 9).state.cents == 9
    assert (at.events, as_of.events) == (2, 1)


def test_many_begin_at_their_snapshots(store: EventStore) -> None:
    for id in "123":
        filled(store, 4, id)
    snapshot(store, saving(), "2")
    store.append("account-2", [types.event(Deposited(1))])
    folded = Folded()
    loaded = load_many(store, saving(evolve=folded), ["1", "2", "3", "4"])
    assert [one.version for one in loaded.values()] == [4, 5, 4, 0]
    assert folded.events == 4 + 1 + 4


def test_a_category_is_saved_in_one_pass(store: EventStore) -> None:
    for id in "123":
        filled(store, 4, id)
    assert rebuild_snapshots(store, saving()) == 3
    folded = Folded()
    assert {one.state.cents for one in load_many(store, saving(evolve=folded), ["1", "2", "3"]).values()} == {3}
    assert folded.events == 0


def test_those_that_are_due_are_saved_though_nobody_loads_them(store: EventStore) -> None:
    """Their events were appended without a decision."""
    policy = SnapshotPolicy(every_events=5)
    for id, events in (("1", 4), ("2", 5), ("3", 12)):
        filled(store, events, id)
    store.append("accounts-4", [types.event(Deposited(1)) for _ in range(9)])      # of another category
    assert snapshot_due(store, saving(policy)) == 2
    assert snapshot_due(store, saving(policy)) == 0
    store.append("account-2", [types.event(Deposited(1)) for _ in range(4)])
    store.append("account-3", [types.event(Deposited(1)) for _ in range(5)])
    assert snapshot_due(store, saving(policy)) == 1
    assert [store.snapshots.newest("account", f"account-{id}")[0].version for id in "23"] == [5, 17]
    folded = Folded()
    assert load(store, saving(evolve=folded), "3").state.cents == 16
    assert folded.events == 0


def test_bytes_make_one_due_as_well(store: EventStore) -> None:
    filled(store, 2, "1")
    filled(store, 20, "2")
    assert snapshot_due(store, saving(SnapshotPolicy(every_bytes=200))) == 1


@pytest.mark.parametrize("policy", [SnapshotPolicy(), SnapshotPolicy(slow_load_ms=1)])
def test_a_policy_that_counts_nothing_has_none_that_are_due(store: EventStore, policy: SnapshotPolicy) -> None:
    with pytest.raises(InvalidEventError, match="neither every_events nor every_bytes"):
        snapshot_due(store, saving(policy))


def test_snapshots_that_the_events_contradict_are_found(store: EventStore) -> None:
    """Somebody has changed `evolve`, and forgot to raise `schema_version`."""
    for id in "12":
        filled(store, 3, id)
    rebuild_snapshots(store, saving())
    doubled: Callable[[Account, Any], Account] = lambda state, event: evolve(evolve(state, event), event)  # noqa: E731
    assert list(verify_snapshots(store, saving(), ["1", "2"])) == []
    [found, _] = verify_snapshots(store, saving(evolve=doubled), ["1", "2"])
    assert (found.snapshot.stream_id, found.saved.cents, found.folded.cents) == ("account-1", 2, 4)


def test_snapshots_beyond_the_stream_are_found(store: EventStore) -> None:
    filled(store, 3)
    saved = snapshot(store, saving(), "1")
    assert saved is not None
    store.snapshots.save([saved._replace(version=9, position=99)])
    [found] = verify_snapshots(store, saving(), ["1"])
    assert (found.snapshot.version, found.folded) == (9, None)


def test_states_that_cannot_be_saved_do_not_keep_a_category_from_it(store: EventStore) -> None:
    for id in "12345":
        filled(store, int(id), id)

    def evolve_oddly(state: Any, event: Any) -> Any:
        return {"pair": (1, 2)} if isinstance(event, Deposited) and state == {"events": 3} else {"events": state.get("events", 0) + 1}

    odd = saving(initial={}, evolve=evolve_oddly)
    with pytest.raises(InvalidEventError, match=r"'account-4'.*\(1\).*4 others are saved.*read back as"):
        rebuild_snapshots(store, odd)
    assert [len(store.snapshots.newest("account", f"account-{id}")) for id in "12345"] == [1, 1, 1, 0, 1]


def test_a_full_fold_of_all_needs_no_snapshots(store: EventStore) -> None:
    filled(store, 4)
    snapshot(store, saving(), "1")
    folded = Folded()
    assert [one.version for one in load_all(store, saving(evolve=folded))] == [4]
    assert folded.events == 4


def test_raw_events_are_folded_on_a_snapshot_as_well(store: EventStore) -> None:
    counted = Aggregate(category="raw", initial=0, evolve=lambda state, event: state + 1, snapshots=SnapshotPolicy())
    store.append("raw-1", [Event("Any", {}), Event("Any", {})])
    snapshot(store, counted, "1")
    store.append("raw-1", [Event("Any", {})])
    again = Aggregate(category="raw", initial=0, evolve=lambda state, event: state + 1, snapshots=SnapshotPolicy())
    assert load(store, again, "1").state == 3
