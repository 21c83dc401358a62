"""All ways to forget at once: keys, erasures, rules and ends of streams, beside compaction, vacuum, snapshots and a second handle.

Whatever the course: the order stays dense, what can be seen is there, and of what must be gone no byte is left.
"""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from store import (
    Aggregate,
    Erasure,
    EventType,
    EventTypes,
    KeyTable,
    Personal,
    SnapshotPolicy,
    erasure_of,
    load,
    open_store,
    snapshot,
    traces,
    verify,
)
from store.delta import compaction, part, segment
from store.delta.delta_store import DeltaEventStore
from tests.store.small_numbers import runs, sleep_always

WHO: dict[str, Any] = {"by": "ann", "why": "law"}
PERSONS = ["person-1", "person-2"]
STREAMS = [*PERSONS, "note-1", "note-2"]
"""States of persons are sealed; those of notes lie in snapshots as they are."""
FORGOTTEN = "[forgotten]"
streams, handles = st.sampled_from(STREAMS), st.integers(0, 1)


@dataclass(frozen=True)
class Told:
    """`name` is personal; `secret` is not, so that it stands in the log until it is erased or removed."""

    who: str
    name: str
    secret: str


@dataclass(frozen=True)
class Noted:
    secret: str


TYPES = EventTypes(EventType("Told", Told, personal=Personal({"name": FORGOTTEN}, subject="who")), EventType("Noted", Noted))


def aggregate(category: str) -> Aggregate[list[list[str]]]:
    return Aggregate(
        category=category,
        initial=[],
        evolve=lambda state, event: [*state, [getattr(event, "name", ""), event.secret]],
        types=TYPES,
        state=list[list[str]],
        snapshots=SnapshotPolicy(every_events=2),
    )


AGGREGATES = {category: aggregate(category) for category in ("person", "note")}


class ForgettingLaws(RuleBasedStateMachine):
    """The model: what was told at which version of each stream, whose keys went since, which events say nothing any more, and what is hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.warehouse = self.resources.enter_context(TemporaryDirectory())
        self.told: dict[str, list[Any]] = {stream_id: [] for stream_id in STREAMS}
        self.forgotten: dict[str, int] = dict.fromkeys(STREAMS, 0)
        self.floors: dict[str, int] = dict.fromkeys(STREAMS, 0)
        self.counts: dict[str, int | None] = dict.fromkeys(STREAMS)
        self.erased: set[tuple[str, int]] = set()
        self.stores = [self.opened(create=True), self.opened()]

    def opened(self, create: bool = False) -> DeltaEventStore:
        privacy = TYPES.privacy(KeyTable(self.warehouse), max_age_s=0)
        store = self.resources.enter_context(open_store(self.warehouse, create=create, privacy=privacy))
        assert isinstance(store, DeltaEventStore)
        return store

    def hidden(self, stream_id: str) -> int:
        version, count = len(self.told[stream_id]), self.counts[stream_id]
        return max(self.floors[stream_id], 0 if count is None else version - count)

    # What is done -------------------------------------------------------------------------------------------------

    @rule(handle=handles, stream_id=streams, count=st.integers(1, 4), saved=st.booleans())
    def append(self, handle: int, stream_id: str, count: int, saved: bool) -> None:
        """`saved`: the state that it leads to, in a snapshot."""
        told = [self.planted(stream_id) for _ in range(count)]
        self.stores[handle].append(stream_id, [TYPES.event(one) for one in told])
        self.told[stream_id] += told
        if saved:
            category, _, number = stream_id.partition("-")
            snapshot(self.stores[handle], AGGREGATES[category], number)

    @rule(handle=handles, stream_id=st.sampled_from(PERSONS))
    def forget(self, handle: int, stream_id: str) -> None:
        self.stores[handle].privacy.forget(stream_id, **WHO)
        self.forgotten[stream_id] = len(self.told[stream_id])

    @rule(handle=handles, stream_id=streams)
    def erase(self, handle: int, stream_id: str) -> None:
        self.stores[handle].erase(Erasure(streams=[stream_id]), **WHO)
        self.erased |= {(stream_id, version) for version in range(1, len(self.told[stream_id]) + 1)}

    @rule(handle=handles, stream_id=streams, back=st.integers(0, 4))
    def truncate(self, handle: int, stream_id: str, back: int) -> None:
        before = max(1, len(self.told[stream_id]) + 1 - back)
        self.stores[handle].retention.truncate(stream_id, before, **WHO)
        self.floors[stream_id] = max(self.floors[stream_id], before - 1)

    @rule(handle=handles, stream_id=streams)
    def delete(self, handle: int, stream_id: str) -> None:
        self.stores[handle].retention.delete(stream_id, **WHO)
        self.floors[stream_id] = len(self.told[stream_id])

    @rule(handle=handles, stream_id=streams, count=st.sampled_from([None, 1, 3]))
    def keep(self, handle: int, stream_id: str, count: int | None) -> None:
        self.stores[handle].retention.keep(stream_id, max_count=count, **WHO)
        self.counts[stream_id] = count

    @rule(handle=handles)
    def remove(self, handle: int) -> None:
        fresh = {(stream_id, version) for stream_id in STREAMS for version in range(1, self.hidden(stream_id) + 1)} - self.erased
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

    @rule(handle=handles, stream_id=streams)
    def state(self, handle: int, stream_id: str) -> None:
        store, (category, _, number) = self.stores[handle], stream_id.partition("-")
        shown = [version for version in range(self.hidden(stream_id) + 1, len(self.told[stream_id]) + 1) if (stream_id, version) not in self.erased]
        state = [[self.name(stream_id, version), self.told[stream_id][version - 1].secret] for version in shown]
        assert load(store, AGGREGATES[category], number).state == state

    @rule(handle=handles)
    def order(self, handle: int) -> None:
        """Laws 1 and 2; and of each event all that it may still say, and no more."""
        store, versions = self.stores[handle], dict[str, int]()
        rows = store.privacy.open(store.read_all().read_all()).to_pylist()
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        for row in rows:
            assert row["version"] == versions.setdefault(row["stream_id"], 0) + 1, row
            versions[row["stream_id"]] += 1
            if row["stream_id"] in STREAMS:
                self.assert_told(row["stream_id"], row["version"], row["data"])
        assert {stream_id: versions.get(stream_id, 0) for stream_id in STREAMS} == {stream_id: len(told) for stream_id, told in self.told.items()}
        for stream_id, told in self.told.items():
            assert store.read_stream(stream_id)["version"].to_pylist() == list(range(self.hidden(stream_id) + 1, len(told) + 1))

    @rule(handle=handles)
    def tidy(self, handle: int) -> None:
        """What is personal was never there in the clear; what was erased, or removed, is nowhere any more."""
        for store in self.stores:
            store.deciding.snapshotter.flush()
        self.stores[handle].purge()
        gone = [self.told[stream_id][version - 1].secret for stream_id, version in self.erased]
        names = [one.name for stream_id in PERSONS for one in self.told[stream_id]]
        assert not (wanted := gone + names) or traces(self.warehouse, wanted) == []

    def teardown(self) -> None:
        try:
            self.remove(1)
            self.erase(0, "note-1")
            for handle in (0, 1):
                self.order(handle)
                for stream_id in STREAMS:
                    self.state(handle, stream_id)
            self.tidy(0)
            self.reopen(1)
            self.order(1)
            assert verify(self.warehouse).sound
        finally:
            self.resources.close()

    @staticmethod
    def planted(stream_id: str) -> Told | Noted:
        secret = f"secret-{uuid.uuid4().hex}"
        return Told(stream_id, f"name-{uuid.uuid4().hex}", secret) if stream_id in PERSONS else Noted(secret)

    def name(self, stream_id: str, version: int) -> str:
        return FORGOTTEN if version <= self.forgotten[stream_id] else getattr(self.told[stream_id][version - 1], "name", "")

    def assert_told(self, stream_id: str, version: int, data: str) -> None:
        if (stream_id, version) in self.erased:
            assert erasure_of(data) is not None
        else:
            told = self.told[stream_id][version - 1]
            assert orjson.loads(data) == asdict(told) | ({"name": self.name(stream_id, version)} if stream_id in PERSONS else {})


@pytest.fixture(autouse=True)
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few events come by every path, and everybody has slept."""
    monkeypatch.setattr(segment, "RUN_ROWS", 32)
    monkeypatch.setattr(segment, "SECTION_ROWS", 8)
    monkeypatch.setattr(part, "ROW_GROUP_ROWS", 4)
    monkeypatch.setattr(compaction, "DUE_RUNS", 4)
    sleep_always(monkeypatch)


def test_whatever_is_forgotten_is_gone_and_all_else_is_there() -> None:
    run_state_machine_as_test(ForgettingLaws, settings=runs(12, 30))
