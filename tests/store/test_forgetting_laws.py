"""All ways to forget at once: keys, erasures, rules and ends of streams, beside compaction, vacuum, snapshots and a second handle.

Whatever the course: the order stays dense, what can be seen is there, and of what must be gone no byte is left.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from store import Aggregate, Erasure, EventType, EventTypes, KeyTable, Personal, SnapshotPolicy, erasure_of, load, open_store, traces, verify
from store.delta import compaction, log, log_cleanup, part, segment
from store.delta.delta_store import DeltaEventStore

WHO: dict[str, Any] = {"by": "ann", "why": "law"}
IDS = ["1", "2", "3"]
FORGOTTEN = "[forgotten]"
ids, handles = st.sampled_from(IDS), st.integers(0, 1)


@dataclass(frozen=True)
class Told:
    """`name` is personal; `secret` is not, so that it stands in the log until it is erased or removed."""

    who: str
    name: str
    secret: str


TYPES = EventTypes(EventType("Told", Told, personal=Personal({"name": FORGOTTEN}, subject="who")))
PEOPLE = Aggregate(
    category="person",
    initial=[],
    evolve=lambda state, event: [*state, [event.name, event.secret]],
    types=TYPES,
    state=list[list[str]],
    snapshots=SnapshotPolicy(every_events=3),
)


class ForgettingLaws(RuleBasedStateMachine):
    """The model: what was told at which version of each stream, whose keys went since, which events say nothing any more, and what is hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.warehouse = self.resources.enter_context(TemporaryDirectory())
        self.told: dict[str, list[Told]] = {id: [] for id in IDS}
        self.forgotten: dict[str, int] = dict.fromkeys(IDS, 0)
        self.floors: dict[str, int] = dict.fromkeys(IDS, 0)
        self.counts: dict[str, int | None] = dict.fromkeys(IDS)
        self.erased: set[tuple[str, int]] = set()
        self.stores = [self.opened(create=True), self.opened()]

    def opened(self, create: bool = False) -> DeltaEventStore:
        privacy = TYPES.privacy(KeyTable(self.warehouse), max_age_s=0)
        store = self.resources.enter_context(open_store(self.warehouse, create=create, privacy=privacy))
        assert isinstance(store, DeltaEventStore)
        return store

    def hidden(self, id: str) -> int:
        version, count = len(self.told[id]), self.counts[id]
        return max(self.floors[id], 0 if count is None else version - count)

    # What is done -------------------------------------------------------------------------------------------------

    @rule(handle=handles, id=ids, count=st.integers(1, 4))
    def append(self, handle: int, id: str, count: int) -> None:
        told = [Told(id, f"name-{uuid.uuid4().hex}", f"secret-{uuid.uuid4().hex}") for _ in range(count)]
        self.stores[handle].append(f"person-{id}", [TYPES.event(one) for one in told])
        self.told[id] += told

    @rule(handle=handles, id=ids)
    def forget(self, handle: int, id: str) -> None:
        self.stores[handle].privacy.forget(id, **WHO)
        self.forgotten[id] = len(self.told[id])

    @rule(handle=handles, id=ids)
    def erase(self, handle: int, id: str) -> None:
        self.stores[handle].erase(Erasure(streams=[f"person-{id}"]), **WHO)
        self.erased |= {(id, version) for version in range(1, len(self.told[id]) + 1)}

    @rule(handle=handles, id=ids, back=st.integers(0, 4))
    def truncate(self, handle: int, id: str, back: int) -> None:
        before = max(1, len(self.told[id]) + 1 - back)
        self.stores[handle].retention.truncate(f"person-{id}", before, **WHO)
        self.floors[id] = max(self.floors[id], before - 1)

    @rule(handle=handles, id=ids)
    def delete(self, handle: int, id: str) -> None:
        self.stores[handle].retention.delete(f"person-{id}", **WHO)
        self.floors[id] = len(self.told[id])

    @rule(handle=handles, id=ids, count=st.sampled_from([None, 1, 3]))
    def keep(self, handle: int, id: str, count: int | None) -> None:
        self.stores[handle].retention.keep(f"person-{id}", max_count=count, **WHO)
        self.counts[id] = count

    @rule(handle=handles)
    def remove(self, handle: int) -> None:
        fresh = {(id, version) for id in IDS for version in range(1, self.hidden(id) + 1)} - self.erased
        assert self.stores[handle].retention.remove(**WHO).events == len(fresh)
        self.erased |= fresh

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.stores[handle].close()
        self.stores[handle] = self.opened()

    @rule(handle=handles, what=st.sampled_from(["compact", "checkpoint", "vacuum"]))
    def look_after(self, handle: int, what: str) -> None:
        getattr(self.stores[handle], what)()

    # What holds -----------------------------------------------------------------------------------------------------

    @rule(handle=handles, id=ids)
    def state(self, handle: int, id: str) -> None:
        shown = range(self.hidden(id) + 1, len(self.told[id]) + 1)
        state = [[self.name(id, version), self.told[id][version - 1].secret] for version in shown if (id, version) not in self.erased]
        assert load(self.stores[handle], PEOPLE, id).state == state

    @rule(handle=handles)
    def order(self, handle: int) -> None:
        """Laws 1 and 2; and of each event all that it may still say, and no more."""
        store, versions = self.stores[handle], dict[str, int]()
        rows = store.privacy.open(store.read_all().read_all()).to_pylist()
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        for row in rows:
            assert row["version"] == versions.setdefault(row["stream_id"], 0) + 1, row
            versions[row["stream_id"]] += 1
            category, _, id = row["stream_id"].partition("-")
            if category == "person":
                self.assert_told(id, row["version"], row["data"])
        assert {id: versions.get(f"person-{id}", 0) for id in IDS} == {id: len(told) for id, told in self.told.items()}
        for id, told in self.told.items():
            assert store.read_stream(f"person-{id}")["version"].to_pylist() == list(range(self.hidden(id) + 1, len(told) + 1))

    @rule(handle=handles)
    def tidy(self, handle: int) -> None:
        """What is personal was never there in the clear; what was erased, or removed, is nowhere any more."""
        for store in self.stores:
            store.deciding.snapshotter.flush()
        self.stores[handle].purge()
        gone = [self.told[id][version - 1].secret for id, version in self.erased]
        names = [one.name for told in self.told.values() for one in told]
        assert not (wanted := gone + names) or traces(self.warehouse, wanted) == []

    def teardown(self) -> None:
        try:
            self.remove(1)
            for handle in (0, 1):
                self.order(handle)
                for id in IDS:
                    self.state(handle, id)
            self.tidy(0)
            self.reopen(1)
            self.order(1)
            assert verify(self.warehouse).sound
        finally:
            self.resources.close()

    def name(self, id: str, version: int) -> str:
        return FORGOTTEN if version <= self.forgotten[id] else self.told[id][version - 1].name

    def assert_told(self, id: str, version: int, data: str) -> None:
        if (id, version) in self.erased:
            assert erasure_of(data) is not None
        else:
            assert orjson.loads(data) == {"who": id, "name": self.name(id, version), "secret": self.told[id][version - 1].secret}


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few events come by every path, and everybody has slept."""
    monkeypatch.setattr(segment, "RUN_ROWS", 32)
    monkeypatch.setattr(segment, "SECTION_ROWS", 8)
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(compaction, "DUE_RUNS", 4)
    monkeypatch.setattr(log, "ASLEEP_S", 0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0)


def test_whatever_is_forgotten_is_gone_and_all_else_is_there() -> None:
    few = settings(max_examples=10, stateful_step_count=25, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(ForgettingLaws, settings=few)
