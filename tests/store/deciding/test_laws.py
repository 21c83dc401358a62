"""Law 6: snapshot and tail give the full fold's state, for every shape, upcast or not. Law 9: the past does not change.

And what `transact` adds to law 3: decisions are as if made one after the other.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from store import (
    Aggregate,
    Event,
    EventStore,
    MemoryEventStore,
    SnapshotPolicy,
    load,
    load_all,
    load_as_of,
    load_at,
    load_many,
    open_store,
    rebuild_snapshots,
    snapshot,
    transact,
)
from tests.store.deciding.account import Account, Deposited, Opened, Withdrawn, evolve, types
from tests.store.small_numbers import runs

IDS = ["1", "2", "ü"]


class Purse(msgspec.Struct, frozen=True):
    """The account as newer code has it."""

    holder: str | None = None
    balance: int = 0
    events: int = 0


def purse(state: Purse, event: Any) -> Purse:
    after = evolve(Account(state.holder, state.balance, state.events), event)
    return Purse(after.owner, after.cents, after.events)


def lifted(old: dict[str, Any]) -> dict[str, Any]:
    return {"holder": old["owner"], "balance": old["cents"], "events": old["events"]}


def first_code() -> Aggregate[Any]:
    return Aggregate(category="account", initial=Account(), evolve=evolve, types=types, snapshots=SnapshotPolicy(every_events=3, keep=3))


def newer_code() -> Aggregate[Any]:
    policy = SnapshotPolicy(every_bytes=40, keep=2)
    return Aggregate(
        category="account", initial=Purse(), evolve=purse, types=types, snapshots=policy, schema_version=2, upcasters={1: lifted}
    )


def forgetful_code() -> Aggregate[Any]:
    """It has no step for older snapshots."""
    return Aggregate(category="account", initial=Purse(), evolve=purse, types=types, snapshots=SnapshotPolicy(every_events=2), schema_version=3)


CODES = {"first": first_code, "newer": newer_code, "forgetful": forgetful_code}

ids = st.sampled_from(IDS)
codes = st.sampled_from(list(CODES))
happened = st.one_of(
    st.builds(lambda owner: types.event(Opened(owner)), st.text(max_size=3)),
    st.builds(lambda cents: types.event(Deposited(cents)), st.integers(0, 10**6)),
    st.builds(lambda cents: types.event(Withdrawn(cents)), st.integers(0, 10**6)),
    st.builds(lambda cents: Event("Deposited", {"amount": cents / 100}), st.integers(0, 10**6)),
)


class Loads(RuleBasedStateMachine):
    """Every way to a state, beside a list of all events and the plain fold over it."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, Any, int]] = []
        """Stream, event, and when it was recorded; the store's own events stand for nothing but a position."""
        self.now = 1_700_000_000_000_000
        self.floors: dict[str, int] = {}
        self.deleted: dict[str, int] = {}
        self.removed: set[int] = set()
        """Places in the log of which only husks are left."""
        self.rules: dict[str, tuple[int | None, int | None]] = {}
        self.store = self.opened()
        self.run = {name: code() for name, code in CODES.items()}

    def opened(self) -> EventStore:
        return MemoryEventStore(clock=self.clock)

    def clock(self) -> int:
        return self.now

    def record(self, stream: str, event: Any = None) -> None:
        self.log.append((stream, event, self.now))

    def version(self, id: str) -> int:
        return sum(stream == id for stream, *_ in self.log)

    def shown_version(self, id: str) -> int:
        return 0 if 0 < self.deleted.get(id, 0) == self.version(id) else self.version(id)

    def hidden(self, id: str) -> int:
        """So many of its first events no reader of the stream sees."""
        times = [time for stream, _, time in self.log if stream == id]
        max_age, max_count = self.rules.get(id, self.rules.get("account", (None, None)))
        old = sum(time <= self.now - max_age for time in times) if max_age else 0
        return max(self.floors.get(id, 0), self.deleted.get(id, 0), old, len(times) - max_count if max_count else 0)

    def folded(self, code: str, id: str, position: int | None = None, version: int | None = None) -> Any:
        places = [place for place, (stream, *_) in enumerate(self.log[:position]) if stream == id][:version][self.hidden(id) :]
        events = [self.log[place][1] for place in places if place not in self.removed]
        return reduce(self.run[code].evolve, events, self.run[code].initial)

    @rule(id=ids, events=st.lists(happened, min_size=1, max_size=4))
    def append(self, id: str, events: list[Event]) -> None:
        self.store.append(f"account-{id}", events)
        for event in events:
            [decoded] = types.decode(MemoryLog.of(event))
            self.record(id, decoded)

    @rule(id=ids, code=codes, cents=st.integers(0, 100))
    def decide(self, id: str, code: str, cents: int) -> None:
        before = self.folded(code, id)
        seen = []
        done = transact(self.store, self.run[code], id, lambda state: (seen.append(state), [Deposited(cents)])[1])
        assert done.version == self.version(id) + 1
        self.record(id, Deposited(cents))
        assert (seen, done.state) == ([before], self.run[code].evolve(before, Deposited(cents)))

    @rule(id=ids, code=codes)
    def load(self, id: str, code: str) -> None:
        loaded = load(self.store, self.run[code], id)
        assert (loaded.state, loaded.version) == (self.folded(code, id), self.shown_version(id))

    @rule(id=ids, share=st.floats(0, 1))
    def truncate(self, id: str, share: float) -> None:
        kept = 1 + round(share * self.version(id))
        self.store.retention.truncate(f"account-{id}", kept, by="ada", why="a law")
        if kept - 1 > max(self.floors.get(id, 0), self.deleted.get(id, 0)):
            self.floors[id] = kept - 1
            self.record("$retention")
            self.record("$audit")

    @rule(id=ids)
    def delete(self, id: str) -> None:
        self.store.retention.delete(f"account-{id}", by="ada", why="a law")
        if self.shown_version(id):
            self.deleted[id] = self.version(id)
            self.record("$retention")
            self.record("$audit")

    @rule(name=st.sampled_from(["1", "2", "account"]), seconds=st.none() | st.integers(1, 20), count=st.none() | st.integers(1, 4))
    def keep(self, name: str, seconds: int | None, count: int | None) -> None:
        max_age = None if seconds is None else timedelta(seconds=seconds)
        self.store.retention.keep(name if name == "account" else f"account-{name}", max_age, count, by="ada", why="a law")
        self.rules[name] = None if seconds is None else seconds * 1_000_000, count
        self.record("$retention")

    @rule()
    def remove(self) -> None:
        hidden = {place for id in IDS for place in [p for p, (stream, *_) in enumerate(self.log) if stream == id][: self.hidden(id)]}
        removed = self.store.retention.remove(by="ada", why="a law")
        assert removed.events == len(hidden - self.removed)
        self.removed |= hidden
        if removed.events:
            self.record("$audit")

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1_000_000

    @rule(id=ids, code=codes)
    def load_with_an_empty_memory(self, id: str, code: str) -> None:
        self.run[code] = CODES[code]()
        assert load(self.store, self.run[code], id).state == self.folded(code, id)

    @rule(id=ids, code=codes)
    def save(self, id: str, code: str) -> None:
        snapshot(self.store, self.run[code], id)

    @rule()
    def save_what_waits(self) -> None:
        self.store.deciding.snapshotter.flush()

    @rule(code=codes)
    def save_all(self, code: str) -> None:
        rebuild_snapshots(self.store, self.run[code])

    @rule(id=ids, code=codes, share=st.floats(0, 1))
    def look_back(self, id: str, code: str, share: float) -> None:
        position, version = round(share * len(self.log)), round(share * self.shown_version(id))
        assert load_as_of(self.store, self.run[code], id, position).state == self.folded(code, id, position=position)
        assert load_at(self.store, self.run[code], id, version).state == self.folded(code, id, version=version)

    @rule(code=codes, share=st.floats(0, 1))
    def load_together(self, code: str, share: float) -> None:
        position = round(share * len(self.log))
        many = load_many(self.store, self.run[code], IDS, as_of=position)
        assert {id: one.state for id, one in many.items()} == {id: self.folded(code, id, position=position) for id in IDS}
        every = {one.stream_id: one.state for one in load_all(self.store, self.run[code], as_of=position)}
        shown = [id for id in IDS if sum(stream == id for stream, *_ in self.log[:position]) > self.hidden(id)]
        assert every == {f"account-{id}": many[id].state for id in shown}

    def teardown(self) -> None:
        self.store.close()


class DeltaLoads(Loads):
    """The same on disk, where upkeep goes on and the process may begin anew."""

    def opened(self) -> EventStore:
        if not hasattr(self, "folder"):
            self.folder = TemporaryDirectory()
            return open_store(self.folder.name, create=True, clock=self.clock)
        return open_store(self.folder.name, clock=self.clock)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    @rule()
    def maintain(self) -> None:
        self.store.maintain()  # type: ignore[attr-defined]
        self.store.snapshots.maintain()

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class MemoryLog:
    """Decodes an event as any log would give it back."""

    @staticmethod
    def of(event: Event) -> Any:
        with MemoryEventStore() as store:
            store.append("a", [event])
            return store.read_stream("a")


@pytest.mark.parametrize(("machine", "examples"), [(Loads, 60), (DeltaLoads, 25)])
def test_every_way_to_a_state_gives_the_full_fold(machine: type[Loads], examples: int) -> None:
    run_state_machine_as_test(machine, settings=runs(examples, 25))  # type: ignore[no-untyped-call]
