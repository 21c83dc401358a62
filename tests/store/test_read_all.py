"""`read_all`: the log in order of position, by selections, against plain Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import Append, Event, EventStore, MemoryEventStore, open_store
from store.schema import EVENTS
from tests.store.facts import everything, fact, facts, table

STREAMS = ["a", "a-1", "a-1-2", "ab-1", "a.b", "a.b-1", "a+b", "-1", "a b-1", "b", "b-ü", "東-京", "a-" + "x" * 500]
CATEGORIES = ["a", "ab", "a.b", "a+b", "", "a b", "b", "東", "a-1", "A", "x"]
TYPES = ["Opened", "Closed", "Open", "Häppened"]
SHARDS = ["h", *(f"h{digit:x}" for digit in range(16)), "h0cc1", *("h" + md5(stream_id.encode()).hexdigest()[:2] for stream_id in STREAMS)]
TAGS = ["x", "y", "x y", "xy", "é"]

places = st.integers(0, 130)


@pytest.fixture(scope="module", params=["memory", "delta"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventStore]:
    """120 events; on Delta some in compacted files, some in landing files, half of those read from disk."""
    if request.param == "memory":
        store = MemoryEventStore()
        fill(store, range(100))
        fill(store, range(100, 120))
        yield store
        return
    warehouse = str(tmp_path_factory.mktemp("log"))
    with open_store(warehouse, create=True) as store:
        fill(store, range(60))
        store.compact()
        fill(store, range(60, 100))
    with open_store(warehouse) as store:
        fill(store, range(100, 120))
        yield store


def fill(store: EventStore, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, 5):
        one, *some, last = range(start, start + 5)
        store.append(stream(one), [event(one)])
        store.append_many([Append(stream(number), [event(number)]) for number in some])
        store.append_table(table(1, stream_id=[stream(last)], type=[event(last).type], tags=[event(last).tags]))


def stream(number: int) -> str:
    return STREAMS[number * 7 % len(STREAMS)]


def event(number: int) -> Event:
    return Event(TYPES[number * 5 % 4], {"n": number}, tags=[tag for bit, tag in enumerate(TAGS) if number * 11 >> bit & 1])


@dataclass(frozen=True)
class Question:
    after: int
    until: int | None
    limit: int | None
    types: Sequence[str] | None
    categories: Sequence[str] | None
    tags: Sequence[str] | None
    shards: Sequence[str] | None
    backward: bool

    def answer(self) -> list[int]:
        """The positions, by the contract's words."""
        positions = [position for position in range(1, 121) if self.wants(position)]
        return (positions[::-1] if self.backward else positions)[: self.limit]

    def wants(self, position: int) -> bool:
        fact, stream_id = event(position - 1), stream(position - 1)
        return (
            self.after < position
            and (self.until is None or position <= self.until)
            and (self.types is None or fact.type in self.types)
            and (self.categories is None or stream_id.split("-")[0] in self.categories)
            and (self.tags is None or all(tag in fact.tags for tag in self.tags))
            and (self.shards is None or any(("h" + md5(stream_id.encode()).hexdigest()).startswith(shard) for shard in self.shards))
        )


questions = st.builds(
    Question,
    after=st.just(0) | places,
    until=st.none() | places,
    limit=st.none() | places,
    types=st.none() | st.lists(st.sampled_from([*TYPES, "Nothing"]), max_size=3),
    categories=st.none() | st.lists(st.sampled_from(CATEGORIES), max_size=3),
    tags=st.none() | st.lists(st.sampled_from([*TAGS, "nothing"]), min_size=1, max_size=3),
    shards=st.none() | st.lists(st.sampled_from(SHARDS), max_size=3),
    backward=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(question=questions)
def test_read_all_gives_what_was_asked_for(log: EventStore, question: Question) -> None:
    assert log.read_all(**vars(question)).read_all()["position"].to_pylist() == question.answer()


def test_read_all_gives_every_field_as_read_stream_does(log: EventStore) -> None:
    rows = [row for stream_id in STREAMS for row in log.read_stream(stream_id).to_pylist()]
    assert everything(log) == sorted(rows, key=lambda row: row["position"])


def test_read_all_gives_the_columns_of_the_log(log: EventStore) -> None:
    assert log.read_all().schema.equals(EVENTS)
    assert log.read_all(types=["Nothing"]).read_all().schema.equals(EVENTS)


@pytest.mark.parametrize(
    ("category", "stream_ids"),
    [("a", {"a", "a-1", "a-1-2", "a-" + "x" * 500}), ("a.b", {"a.b", "a.b-1"}), ("ab", {"ab-1"}), ("", {"-1"}), ("a-1", set())],
)
def test_category_is_the_part_before_the_first_dash(log: EventStore, category: str, stream_ids: set[str]) -> None:
    assert set(log.read_all(categories=[category]).read_all()["stream_id"].to_pylist()) == stream_ids


@pytest.mark.parametrize(
    "nothing", [{"types": []}, {"categories": []}, {"shards": []}, {"limit": 0}, {"until": 0}, {"after": 120}, {"after": 9, "until": 9}]
)
def test_read_all_of_nothing_is_empty(log: EventStore, nothing: dict[str, Any]) -> None:
    assert log.read_all(**nothing).read_all().num_rows == 0


def test_read_all_of_an_empty_log_is_empty(store: EventStore) -> None:
    assert store.read_all().read_all().equals(EVENTS.empty_table())
    assert store.head() == 0


@pytest.mark.parametrize("backward", [False, True])
def test_read_all_sees_the_log_as_it_was_at_the_call(store: EventStore, backward: bool) -> None:
    store.append("a", facts(3))
    reader = store.read_all(backward=backward)
    store.append("a", facts(2))
    assert sorted(reader.read_all()["position"].to_pylist()) == [1, 2, 3]


def test_read_all_sees_what_was_just_appended(store: EventStore) -> None:
    for position in range(1, 6):
        store.append(f"s-{position}", [fact()])
        assert store.read_all(after=position - 1).read_all()["position"].to_pylist() == [position]
        assert store.head() == position


def test_read_all_comes_in_batches(store: EventStore) -> None:
    """In bounded memory: no batch holds a long log."""
    store.append_table(table(150_000))
    sizes = [batch.num_rows for batch in store.read_all()]
    assert sum(sizes) == 150_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize("backward", [False, True])
def test_read_all_stops_at_its_limit_over_batches(store: EventStore, backward: bool) -> None:
    store.append_table(table(150_000))
    positions = range(150_000, 0, -1) if backward else range(1, 150_001)
    assert store.read_all(limit=100_000, backward=backward).read_all()["position"].to_pylist() == list(positions[:100_000])
