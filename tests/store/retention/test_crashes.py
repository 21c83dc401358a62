"""A removal, and archiving, are killed at every step by which they change the disk: the log is whole, nothing that can be seen is lost, and the
next one finishes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from store import Aggregate, Append, Event, RawEvent, SnapshotPolicy, erasure_of, open_store, snapshot, traces, verify
from store.delta import log, log_cleanup, segment
from store.delta.delta_store import DeltaEventStore
from tests.store.delta.crash import Order
from tests.store.delta.victims import Row, Victims, assert_dense, copied, explained, fresh, memory, rows_of
from tests.store.retention.victim import RUN_ROWS, archive, remove

SAID: dict[str, Any] = {"by": "ann", "why": "crash"}
SECRET = "planted-secret-value"
CUT, GONE, CLOSED, OTHER = "a-1", "a-2", "a-3", "a-4"
STREAMS = (CUT, GONE, CLOSED, OTHER)
CUT_AT = 6


@pytest.fixture(autouse=True)
def moments_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)
    monkeypatch.setattr(segment, "RUN_ROWS", RUN_ROWS)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims("tests.store.retention.victim") as victims:
        yield victims


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """Streams of which something is hidden, and one that is closed, in a sealed run, and in landing files beside others."""
    with memory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "RUN_ROWS", RUN_ROWS)
        with open_store(str(place / "warehouse"), create=True) as store:
            for version in range(1, 11):
                store.append_many([Append(stream_id, [_event(stream_id, version)]) for stream_id in STREAMS])
                if version == CUT_AT - 1:
                    snapshot(store, Aggregate(category="a", initial=[], evolve=_named, state=list[str], snapshots=SnapshotPolicy()), "1")
            store.compact()
            store.retention.truncate(CUT, CUT_AT, **SAID)
            store.retention.tombstone(GONE, **SAID)
            store.retention.close(CLOSED, **SAID)
            store.checkpoint()
        yield place / "warehouse"


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory() as folder:
        yield folder


def _event(stream_id: str, version: int) -> Event:
    hidden = stream_id == GONE or (stream_id == CUT and version < CUT_AT)
    return Event("Happened", {"name": f"{SECRET}-{version}" if hidden else "kept"})


def _named(state: list[str], event: RawEvent) -> list[str]:
    return [*state, orjson.loads(event.data)["name"]]


def own(store: DeltaEventStore) -> list[Row]:
    return [row for row in rows_of(store) if not row["stream_id"].startswith("$")]


def shown(store: DeltaEventStore) -> list[Row]:
    return [row for stream_id in STREAMS for row in store.read_stream(stream_id).drop_columns(["recorded_at", "occurred_at"]).to_pylist()]


def assert_whole(before: list[Row], seen: list[Row], neighbour: DeltaEventStore, warehouse: Path) -> bool:
    """Nothing that can be seen is lost, for nobody. Is what is hidden removed? All of it, or nothing."""
    with open_store(str(warehouse)) as store:
        assert shown(store) == seen
    done = assert_kept(before, seen, neighbour)
    assert verify(str(warehouse)).sound
    return done


def assert_kept(before: list[Row], seen: list[Row], store: DeltaEventStore) -> bool:
    """The same, as one handle sees it."""
    assert shown(store) == seen
    rows = rows_of(store)
    assert_dense(rows)
    rows = [row for row in rows if not row["stream_id"].startswith("$")]
    husks = [erasure_of(after["data"]) is not None for row, after in zip(before, rows, strict=True) if SECRET in row["data"]]
    assert len(set(husks)) == 1
    assert [row for row in rows if erasure_of(row["data"]) is None] == [row for row in before if not husks[0] or SECRET not in row["data"]]
    assert [(row["position"], row["event_id"]) for row in rows] == [(row["position"], row["event_id"]) for row in before]
    return husks[0]


def test_kill_at_any_step_of_a_removal_loses_nothing_that_is_shown_and_the_next_one_finishes(victims: Victims, template: Path, folder: Path) -> None:
    copies, seen = fresh(folder), set[bool]()
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            before, visible = own(neighbour), shown(neighbour)
            told = victims.run(Order("remove", str(warehouse), step))
            if told.ended == 0:
                break
            with explained(told):
                done = assert_whole(before, visible, neighbour, warehouse)
                assert remove(neighbour) == (0 if done else CUT_AT - 1 + 10)
                assert assert_kept(before, visible, neighbour)
                neighbour.vacuum(0)                # also of files that the killed one had written, and no commit names
                neighbour.snapshots.vacuum(0, 0)
                assert traces(str(warehouse), [SECRET]) == []
            seen.add(done)
    assert seen == {True, False}
    assert step > 20


def test_kill_at_any_step_of_archiving_moves_all_of_a_file_or_nothing_and_the_next_one_finishes(
    victims: Victims, template: Path, folder: Path
) -> None:
    copies, seen = fresh(folder), set[int]()
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            before, visible = own(neighbour), shown(neighbour)
            told = victims.run(Order("archive", str(warehouse), step))
            if told.ended == 0:
                break
            with explained(told):
                assert not assert_whole(before, visible, neighbour, warehouse)
                moved = _archived(neighbour)
                assert archive(neighbour) == _archived(neighbour) - moved
                assert _archived(neighbour) > 0
                assert not assert_kept(before, visible, neighbour)
                neighbour.vacuum(0)
                assert {str(path.relative_to(warehouse / "events")) for path in (warehouse / "events").rglob("shard=*/*.parquet")} == {
                    s.path for s in neighbour._log.segments()
                }
            seen.add(moved)
    assert len(seen) == 2
    assert step > 10


def _archived(store: DeltaEventStore) -> int:
    store.head()
    return sum(s.rows for s in store._log.segments() if s.archived)
