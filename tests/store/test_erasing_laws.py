"""Under any course of appends, erasures, compactions and vacuums: places stay, what was not erased stays, what was is gone."""

from __future__ import annotations

import random
import uuid
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from store import Append, Erasure, Event, EventStore, MemoryEventStore, Query, erasure_of, open_store, reapply, traces, verify
from store.delta.delta_store import DeltaEventStore
from store.husk import husk_data
from tests.store.small_numbers import runs, shrink, sleep_always

WHO: dict[str, Any] = {"by": "ann", "why": "law"}
STREAMS = ["a-1", "a-2", "b-1", "ü-1"]
handles = st.integers(0, 1)
erasures = st.one_of(
    st.builds(lambda streams: {"streams": streams}, st.lists(st.sampled_from([*STREAMS, "nobody"]), min_size=1, max_size=3)),
    st.builds(lambda number: {"tag": f"t{number}"}, st.integers(0, 3)),
    st.builds(lambda number: {"query": Query(["T0", "T1"], [f"t{number}"])}, st.integers(0, 3)),
    st.builds(lambda after, more: {"after": after, "until": after + more}, st.integers(1, 60), st.integers(0, 20)),
    st.builds(lambda rest: {"where": f"position % 5 = {rest}"}, st.integers(0, 4)),
    st.builds(lambda number: {"where_field": ("group.number", str(number))}, st.integers(0, 3)),
)
extents = st.sampled_from([{}, {}, {}, {"tags": True}, {"fields": {"secret": None}}, {"fields": {"secret": "x"}, "metadata": True}])


class ErasingLaws(RuleBasedStateMachine):
    """The model: every row as it must be read, and the secrets that no live event says any more."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.gone: set[str] = set()
        self.chance = random.Random(7)
        self.stores: list[EventStore] = self.opened()

    def opened(self) -> list[EventStore]:
        return [MemoryEventStore()]

    def store(self, handle: int) -> EventStore:
        return self.stores[handle % len(self.stores)]

    @rule(handle=handles, stream_id=st.sampled_from(STREAMS), count=st.sampled_from([1, 1, 2, 9]))
    def append(self, handle: int, stream_id: str, count: int) -> None:
        self.store(handle).append(stream_id, [self._event() for _ in range(count)])
        self._learn(handle)

    @rule(handle=handles, count=st.integers(1, 4))
    def append_many(self, handle: int, count: int) -> None:
        self.store(handle).append_many([Append(stream_id, [self._event()]) for stream_id in STREAMS[:count]])
        self._learn(handle)

    @rule(handle=handles, chosen=erasures, extent=extents)
    def erase(self, handle: int, chosen: dict[str, Any], extent: dict[str, Any]) -> None:
        erasure = Erasure(**chosen, **extent)
        meant = [row for row in self.rows if self._is_meant(row, chosen)]
        foretold = self.store(handle).erase(erasure, dry_run=True, **WHO)
        report = self.store(handle).erase(erasure, **WHO)
        changed = [row for row in meant if self._erased(row, extent, report.erasure_id)]
        assert report.events == foretold.events == len(changed)
        assert report.streams == foretold.streams
        self._learn(handle)

    @rule(handle=handles)
    def erase_again(self, handle: int) -> None:
        assert reapply(self.store(handle), **WHO).events == 0

    @rule(handle=handles, stream_id=st.sampled_from(STREAMS), after=st.integers(0, 9))
    def read_stream(self, handle: int, stream_id: str, after: int) -> None:
        there = [row for row in self.rows if row["stream_id"] == stream_id]
        assert self.store(handle).read_stream(stream_id, after).to_pylist() == there[after:]

    @rule(handle=handles, number=st.integers(0, 3), unseen=st.integers(0, 12))
    def read_tag(self, handle: int, number: int, unseen: int) -> None:
        after = max(0, len(self.rows) - unseen)
        there = [row for row in self.rows[after:] if f"t{number}" in row["tags"]]
        assert self.store(handle).read_all(after, tags=[f"t{number}"]).read_all().to_pylist() == there
        assert self.store(handle).read_all(after, query=Query(tags=[f"t{number}"])).read_all().to_pylist() == there

    @rule(handle=handles)
    def order(self, handle: int) -> None:
        read = self.store(handle).read_all().read_all().to_pylist()
        assert [row["position"] for row in read] == list(range(1, len(self.rows) + 1))
        assert read == self.rows

    def teardown(self) -> None:
        for handle in range(len(self.stores)):
            self.order(handle)

    def _event(self) -> Event:
        number, secret = self.chance.randrange(4), f"secret-{uuid.uuid4().hex}"
        data = {"secret": secret, "group": {"number": number}, "list": [1.0, None, "ü"]}
        return Event(f"T{number % 3}", data, tags=[f"t{number}"], metadata={"again": secret} if number else None)

    def _learn(self, handle: int) -> None:
        """What was appended, deeds among it, is as it was read first."""
        self.rows += self.store(handle).read_all(len(self.rows)).read_all().to_pylist()

    @staticmethod
    def _is_meant(row: dict[str, Any], chosen: dict[str, Any]) -> bool:
        if row["stream_id"].startswith("$"):
            return False
        husk = erasure_of(row["data"]) is not None
        match chosen:
            case {"streams": streams}:
                return row["stream_id"] in streams
            case {"tag": tag}:
                return tag in row["tags"]
            case {"query": query}:
                return bool(query.matches(row["type"], row["tags"]))
            case {"after": after, "until": until}:
                return bool(after < row["position"] <= until)
            case {"where": where}:
                return f"{row['position'] % 5}" == where[-1]
            case {"where_field": (_, number)}:
                return not husk and f'"number":{number}}}' in row["data"]
        raise AssertionError(chosen)

    def _erased(self, row: dict[str, Any], extent: dict[str, Any], erasure_id: str) -> bool:
        before = dict(row)
        husk = erasure_of(row["data"]) is not None
        secret = "" if husk else row["data"].split('"')[3]
        if "fields" in extent:
            if not husk:
                value = "null" if extent["fields"]["secret"] is None else '"x"'
                row["data"] = f'{{"secret":{value},{row["data"].split(",", 1)[1]}'
        elif not husk:
            row["data"] = husk_data(erasure_id)
        if "fields" not in extent or "metadata" in extent:
            row["metadata"] = None
        if "tags" in extent:
            row["tags"] = []
        if secret.startswith("secret-") and secret not in f"{row['data']}{row['metadata']}":
            self.gone.add(secret)
        return row != before


class DeltaErasingLaws(ErasingLaws):
    """Two handles of one warehouse, as in two processes."""

    def place(self) -> str:
        return self.resources.enter_context(TemporaryDirectory())

    def opened(self) -> list[EventStore]:
        self.resources = ExitStack()
        self.warehouse = self.place()
        return [self.resources.enter_context(open_store(self.warehouse, create=True)) for _ in range(2)]

    def delta(self, handle: int) -> DeltaEventStore:
        store = self.store(handle)
        assert isinstance(store, DeltaEventStore)
        return store

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.stores[handle].close()
        self.stores[handle] = self.resources.enter_context(open_store(self.warehouse))

    @rule(handle=handles)
    def compact(self, handle: int) -> None:
        self.delta(handle).compact()
        self.look(handle)

    @rule(handle=handles)
    def checkpoint(self, handle: int) -> None:
        self.delta(handle).checkpoint()
        self.look(handle)

    @rule(handle=handles)
    def tidy(self, handle: int) -> None:
        """After this nothing that was erased is anywhere below the warehouse."""
        self.delta(handle).checkpoint()
        self.delta(handle).clean_log(0)
        self.delta(handle).vacuum(0)
        assert traces(self.warehouse, sorted(self.gone)) == [] if self.gone else True

    @rule(handle=handles)
    def look(self, handle: int) -> None:
        """Before, it is in files alone that are no part of the log any more."""
        store = self.delta(handle)
        store.head()
        if self.gone:
            live = {f"events/{s.path}" for s in store._log.segments()}
            old = {f"events/{retired.path}" for retired in store._log.retired()}
            found = {trace.path for trace in traces(self.warehouse, sorted(self.gone))}
            assert not found & live
            assert found <= old | {path for path in found if path not in live and path.endswith(".parquet")}

    def teardown(self) -> None:
        try:
            super().teardown()
            self.reopen(0)
            self.order(0)
            self.tidy(0)
            assert verify(self.warehouse).sound
        finally:
            self.resources.close()


@pytest.fixture
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(autouse=True)
def everybody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep_always(monkeypatch)


def test_memory_keeps_the_laws_of_erasing() -> None:
    run_state_machine_as_test(ErasingLaws, settings=runs(40, 30))


def test_delta_keeps_the_laws_of_erasing() -> None:
    run_state_machine_as_test(DeltaErasingLaws, settings=runs(12, 20))


@pytest.mark.usefixtures("small_numbers")
def test_delta_keeps_the_laws_of_erasing_by_every_path() -> None:
    run_state_machine_as_test(DeltaErasingLaws, settings=runs(25, 30))


@pytest.mark.usefixtures("small_numbers")
def test_delta_keeps_the_laws_of_erasing_in_an_object_store(s3_warehouse: str) -> None:
    class RemoteLaws(DeltaErasingLaws):
        def place(self) -> str:
            return f"{s3_warehouse}/{uuid.uuid4().hex}"

    run_state_machine_as_test(RemoteLaws, settings=runs(2, 15))
