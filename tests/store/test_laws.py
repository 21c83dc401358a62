"""The laws of order, atomicity, no lost update and idempotence (DESIGN §5: 1, 2, 3, 5, 9), and append conditions, under any course of events."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from store import ANY, NO_STREAM, STREAM_EXISTS, Append, Event, EventStore, MemoryEventStore, Query, Removed, StoreError, open_store
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import fact, table
from tests.store.model import Model, Row
from tests.store.small_numbers import runs, shrink, sleep_always

STREAMS = ["a", "a-1", "b-1", "ü"]


@dataclass(frozen=True)
class Wish:
    """One part of an append: `again` old events from `back` versions ago on, then `fresh` new ones."""

    stream_id: str
    fresh: int
    again: int
    back: int
    expected: str
    tag: str = ""
    """Of the new events."""

    def part(self, model: Model, known: dict[str, Event]) -> Append:
        version = model.version(self.stream_id)
        place = max(0, version - self.back)
        old = [known[row.event_id] for row in model.stream(self.stream_id)[place:][: self.again] if row.event_id in known]
        expected = {"any": ANY, "exists": STREAM_EXISTS, "none": NO_STREAM, "past": place, "now": version, "future": version + 1}[self.expected]
        fresh = [fact(number, tags=[self.tag] if self.tag else ()) for number in range(self.fresh)]
        return Append(self.stream_id, [*old, *fresh], expected)


class Guard(NamedTuple):
    """An append condition, and whether something breaks it."""

    fail_if: Query | None = None
    after: int = 0
    broken: bool = False


wishes = st.builds(
    Wish,
    stream_id=st.sampled_from(STREAMS),
    fresh=st.integers(0, 3),
    again=st.sampled_from([0, 0, 0, 1, 2]),
    back=st.integers(0, 5),
    expected=st.sampled_from(["any", "exists", "none", "past", "now", "now", "now", "future"]),
    tag=st.sampled_from(["", "x", "y"]),
)
queries = st.one_of(
    st.builds(lambda tags: Query(tags=tags), st.lists(st.sampled_from("xy"), max_size=2)),
    st.just(Query(["Happened"], ["x"]) | Query(["Else"])),
)
numbers = st.integers(0, 40)
handles = st.integers(0, 1)


class Laws(RuleBasedStateMachine):
    """Does to the store and to the model the same, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.stores: list[EventStore] = self.opened()
        self.known: dict[str, Event] = {}
        self.landed: list[tuple[list[Append], list[Any], Guard]] = []
        self.tables: list[pa.Table] = []

    def opened(self) -> list[EventStore]:
        return [MemoryEventStore(clock=self.clock)]

    def clock(self) -> int:
        return self.model.now

    def store(self, handle: int) -> EventStore:
        return self.stores[handle % len(self.stores)]

    @rule(handle=handles, wish=wishes)
    def append(self, handle: int, wish: Wish) -> None:
        self._append(handle, [wish.part(self.model, self.known)])

    @rule(handle=handles, several=st.lists(wishes, max_size=4, unique_by=lambda wish: wish.stream_id))
    def append_many(self, handle: int, several: list[Wish]) -> None:
        self._append(handle, [wish.part(self.model, self.known) for wish in several])

    @rule(handle=handles, several=st.lists(wishes, max_size=3, unique_by=lambda wish: wish.stream_id), query=queries, unseen=st.integers(0, 12))
    def append_if(self, handle: int, several: list[Wish], query: Query, unseen: int) -> None:
        """Refused if an event that matches is among the last `unseen` ones."""
        after = max(0, len(self.model.rows) - unseen)
        tags = [event.tags if (event := self.known.get(row.event_id)) else () for row in self.model.rows[after:]]
        broken = any(query.matches("Happened", carried) for carried in tags)
        self._append(handle, [wish.part(self.model, self.known) for wish in several], Guard(query, after, broken))

    @rule(handle=handles, query=queries)
    def read_query(self, handle: int, query: Query) -> None:
        there = [row for row in self.model.rows if query.matches("Happened", event.tags if (event := self.known.get(row.event_id)) else ())]
        assert _rows(self.store(handle).read_all(query=query).read_all()) == there

    @precondition(lambda self: self.landed)
    @rule(handle=handles, number=numbers)
    def repeat(self, handle: int, number: int) -> None:
        parts, answers, guard = self.landed[number % len(self.landed)]
        assert _outcome(lambda: self._given(handle, parts, guard)) == answers

    @rule(handle=handles, rows=numbers, streams=st.integers(1, 6), with_ids=st.booleans())
    def append_table(self, handle: int, rows: int, streams: int, with_ids: bool) -> None:
        ids = [str(uuid.uuid4()) for _ in range(rows)]
        names = [f"b-{number % streams}" for number in range(rows)]
        given = table(rows, stream_id=names, event_id=ids if with_ids else None)
        before = self.store(handle).head()
        expected = self.model.append_table(list(zip(names, ids, strict=True)))
        assert _outcome(lambda: self.store(handle).append_table(given)) == expected
        if isinstance(expected, type):
            return
        if with_ids:
            self.tables.append(given)
        else:                                      # the store chose the ids
            chosen = self.store(handle).read_all(after=before).read_all()["event_id"].to_pylist()
            self.model.rows[before:] = [row._replace(event_id=i) for row, i in zip(self.model.rows[before:], chosen, strict=True)]

    @precondition(lambda self: self.tables)
    @rule(handle=handles, number=numbers, kept=numbers, more=st.integers(0, 2))
    def repeat_table(self, handle: int, number: int, kept: int, more: int) -> None:
        """The first rows of a table that is there, and some that are not."""
        old = self.tables[number % len(self.tables)].slice(0, kept)
        new = table(more, stream_id=["b-0"] * more, event_id=[str(uuid.uuid4()) for _ in range(more)])
        given = pa.concat_tables([old, new], promote_options="permissive").select(["stream_id", "type", "data", "event_id"])
        keys = list(zip(given["stream_id"].to_pylist(), given["event_id"].to_pylist(), strict=True))
        assert _outcome(lambda: self.store(handle).append_table(given)) == self.model.append_table(keys)

    @rule(handle=handles, stream_id=st.sampled_from([*STREAMS, "b-0", "nobody"]), after=numbers, limit=st.none() | numbers, backward=st.booleans())
    def read_stream(self, handle: int, stream_id: str, after: int, limit: int | None, backward: bool) -> None:
        there = [row for row in self.model.visible(stream_id) if row.version > after]
        read = self.store(handle).read_stream(stream_id, after, limit, backward)
        assert _rows(read) == (there[::-1] if backward else there)[:limit]
        assert self.store(handle).stream_version(stream_id) == self.model.shown_version(stream_id)

    @rule(handle=handles, after=numbers, until=st.none() | numbers, limit=st.none() | numbers, backward=st.booleans())
    def read_all(self, handle: int, after: int, until: int | None, limit: int | None, backward: bool) -> None:
        there = self.model.rows[:until][after:]
        read = self.store(handle).read_all(after, until, limit, backward=backward).read_all()
        assert _rows(read) == (there[::-1] if backward else there)[:limit]

    @rule(handle=handles, category=st.sampled_from(["a", "b", "ü"]))
    def read_category(self, handle: int, category: str) -> None:
        there = [row for row in self.model.rows if row.stream_id.split("-")[0] == category]
        assert _rows(self.store(handle).read_all(categories=[category]).read_all()) == there

    @rule(handle=handles, position=numbers)
    def as_of(self, handle: int, position: int) -> None:
        query = f"select {', '.join(Row._fields)} from events order by position"
        assert self.store(handle).sql(query, as_of=position).fetchall() == self.model.rows[:position]

    @rule(handle=handles)
    def ask_of_streams(self, handle: int) -> None:
        """SQL sees of each stream what its reader sees."""
        query = f"select {', '.join(Row._fields)} from visible_events order by position"
        visible = [row for stream_id in {row.stream_id for row in self.model.rows} for row in self.model.visible(stream_id)]
        assert self.store(handle).sql(query).fetchall() == sorted(visible)

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.model.now += seconds * 1_000_000

    @rule(handle=handles, name=st.sampled_from(["a", "b", "a-1", "b-0", "ü"]), seconds=st.none() | numbers, count=st.none() | st.integers(1, 5))
    def keep(self, handle: int, name: str, seconds: int | None, count: int | None) -> None:
        max_age = timedelta(seconds=seconds) if seconds else None
        self.model.keep(name, max_age, count)
        self._said(handle, lambda: self.store(handle).retention.keep(name, max_age, count, by="ada", why="a law"), None)

    @rule(handle=handles, stream_id=st.sampled_from(["a-1", "b-1", "b-2"]), back=st.integers(-1, 5))
    def truncate(self, handle: int, stream_id: str, back: int) -> None:
        before = max(1, self.model.version(stream_id) + 1 - back)
        say = self.store(handle).retention.truncate
        self._said(handle, lambda: say(stream_id, before, by="ada", why="a law"), self.model.truncate(stream_id, before))

    @rule(handle=handles, stream_id=st.sampled_from(["a-1", "b-0", "b-1"]), expected=st.sampled_from([ANY, ANY, STREAM_EXISTS, NO_STREAM, 2]))
    def delete(self, handle: int, stream_id: str, expected: Any) -> None:
        say = self.store(handle).retention.delete
        self._said(handle, lambda: say(stream_id, expected, by="ada", why="a law"), self.model.delete(stream_id, expected))

    @rule(handle=handles, stream_id=st.sampled_from(["b-1", "b-3", "nobody"]), expected=st.sampled_from([ANY, STREAM_EXISTS, 2]))
    def tombstone(self, handle: int, stream_id: str, expected: Any) -> None:
        say = self.store(handle).retention.tombstone
        self._said(handle, lambda: say(stream_id, expected, by="ada", why="a law"), self.model.tombstone(stream_id, expected))

    @rule(handle=handles, stream_id=st.sampled_from(["b-1", "b-2", "ü"]), expected=st.sampled_from([ANY, STREAM_EXISTS, NO_STREAM, 2]))
    def close(self, handle: int, stream_id: str, expected: Any) -> None:
        say = self.store(handle).retention.close
        self._said(handle, lambda: say(stream_id, expected, by="ada", why="a law"), self.model.close(stream_id, expected))

    @rule(handle=handles, dry_run=st.booleans())
    def remove(self, handle: int, dry_run: bool) -> None:
        foretold = self.store(handle).retention.remove(by="ada", why="a law", dry_run=True)
        if not dry_run:
            removed: list[Removed] = []
            expected = self.model.remove()
            self._said(handle, lambda: removed.append(self.store(handle).retention.remove(by="ada", why="a law")), None)
            assert dict(removed[0].streams) == dict(foretold.streams) == expected

    @rule(handle=handles)
    def order(self, handle: int) -> None:
        """Laws 1 and 2 as they are written, and the model."""
        read = self.store(handle).read_all().read_all()
        assert read["position"].to_pylist() == list(range(1, self.store(handle).head() + 1))
        for stream_id in read["stream_id"].unique().to_pylist():
            versions = [row.version for row in _rows(read) if row.stream_id == stream_id]
            assert versions == list(range(1, self.model.version(stream_id) + 1))
            assert self.store(handle).stream_version(stream_id) == self.model.shown_version(stream_id)
        assert _rows(read) == self.model.rows
        assert {row["position"] for row in read.to_pylist() if row["data"].startswith('{"$erased"')} == self.model.removed
        times = read["recorded_at"].to_pylist()
        assert times == sorted(times)

    def _said(self, handle: int, say: Any, refusal: Any) -> None:
        """The ids of what is said the store chooses."""
        outcome = _outcome(say)
        assert (outcome if isinstance(outcome, type) else None) == refusal
        said = [row for row in self.model.rows if not row.event_id]
        if said:
            chosen = self.store(handle).read_all(after=said[0].position - 1).read_all()["event_id"].to_pylist()
            self.model.rows[said[0].position - 1 :] = [row._replace(event_id=i) for row, i in zip(said, chosen, strict=True)]

    def teardown(self) -> None:
        for handle in range(len(self.stores)):
            self.order(handle)

    def _append(self, handle: int, parts: list[Append], guard: Guard = Guard()) -> None:  # noqa: B008
        if self.model.outcome(parts) is None and self.model.would_repeat_ids(parts):
            return                                 # allowed at the exact end, but then an id is no name for a place
        answers = self.model.append_many(parts, guard.broken)
        assert _outcome(lambda: self._given(handle, parts, guard)) == answers
        if isinstance(answers, list):
            self.known |= {str(event.event_id): event for part in parts for event in part.events}
            if parts and all(part.events for part in parts):
                self.landed.append((parts, answers, guard))

    def _given(self, handle: int, parts: list[Append], guard: Guard) -> Any:
        if len(parts) == 1:
            return [self.store(handle).append(parts[0].stream_id, parts[0].events, parts[0].expected_version, guard.fail_if, guard.after)]
        return self.store(handle).append_many(parts, guard.fail_if, guard.after)


class DeltaLaws(Laws):
    """Two handles of one warehouse, as in two processes; compacted, checkpointed and opened anew at any moment."""

    def place(self) -> str:
        return self.resources.enter_context(TemporaryDirectory())

    def opened(self) -> list[EventStore]:
        self.resources = ExitStack()
        self.warehouse = self.place()
        return [self.resources.enter_context(open_store(self.warehouse, create=True, clock=self.clock)) for _ in range(2)]

    def delta(self, handle: int) -> DeltaEventStore:
        store = self.store(handle)
        assert isinstance(store, DeltaEventStore)
        return store

    @rule(handle=handles)
    def reopen(self, handle: int) -> None:
        self.stores[handle].close()
        self.stores[handle] = self.resources.enter_context(open_store(self.warehouse, clock=self.clock))

    @rule(handle=handles)
    def compact(self, handle: int) -> None:
        self.delta(handle).compact()

    @rule(handle=handles, tombstoned=st.booleans())
    def archive(self, handle: int, tombstoned: bool) -> None:
        self.delta(handle).retention.archive(tombstoned)

    @rule(handle=handles)
    def checkpoint(self, handle: int) -> None:
        self.delta(handle).checkpoint()

    @rule(handle=handles)
    def tidy(self, handle: int) -> None:
        """So that the other handle finds nothing where it would look next."""
        self.delta(handle).checkpoint()
        self.delta(handle).clean_log(0)
        self.delta(handle).vacuum(0)

    def teardown(self) -> None:
        try:
            super().teardown()
            self.reopen(0)
            self.order(0)
        finally:
            self.resources.close()


@pytest.fixture
def small_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(autouse=True)
def everybody_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep_always(monkeypatch)


def test_memory_keeps_the_laws() -> None:
    run_state_machine_as_test(Laws, settings=runs(60, 40))


def test_delta_keeps_the_laws() -> None:
    run_state_machine_as_test(DeltaLaws, settings=runs(25, 25))


@pytest.mark.usefixtures("small_numbers")
def test_delta_keeps_the_laws_by_every_path() -> None:
    run_state_machine_as_test(DeltaLaws, settings=runs(40, 40))


@pytest.mark.usefixtures("small_numbers")
def test_delta_keeps_the_laws_in_an_object_store(s3_warehouse: str) -> None:
    class RemoteLaws(DeltaLaws):
        def place(self) -> str:
            return f"{s3_warehouse}/{uuid.uuid4().hex}"

    run_state_machine_as_test(RemoteLaws, settings=runs(4, 25))


def _rows(read: pa.Table) -> list[Row]:
    return [Row(*row.values()) for row in read.select(Row._fields).to_pylist()]


def _outcome(append: Any) -> Any:
    try:
        return append()
    except StoreError as error:
        return type(error)
