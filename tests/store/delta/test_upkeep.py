"""Compaction and checkpoints change files, never what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from store import Event, open_store
from store.delta import compaction
from store.delta.delta_store import DeltaEventStore
from store.delta.local_objects import LocalObjects
from store.delta.log import Log, Nobody
from store.delta.segment_files import SegmentFiles
from store.observer import Checkpointed, Compacted, Measurement


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


def fill(store: DeltaEventStore, commits: int) -> None:
    for number in range(commits):
        store.append(f"s-{number % 5}", [Event("Happened", {"number": number}, tags=[f"t{number % 3}"])])


def everything(store: DeltaEventStore) -> pa.Table:
    return store.read_all().read_all()


def test_compaction_changes_nothing_that_is_read(store: DeltaEventStore) -> None:
    fill(store, 30)
    before, stream = everything(store), store.read_stream("s-3")
    assert store.compact() != []
    assert everything(store).equals(before)
    assert store.read_stream("s-3").equals(stream)


def test_compaction_leaves_one_file_of_many(store: DeltaEventStore) -> None:
    fill(store, 30)
    store.compact()
    assert len(store._log.segments()) == 1
    assert store.compact() == []


def test_compacted_rows_are_sorted_by_stream_and_version(store: DeltaEventStore) -> None:
    fill(store, 30)
    store.compact()
    rows = store.sql("select stream_id, version from read_parquet(?)", [store._objects.location(store._log.segments()[0].path)]).fetchall()
    assert rows == sorted(rows)


def test_large_runs_are_spread_over_leaf_shards(store: DeltaEventStore) -> None:
    rows = 900_000
    streams = [f"s-{number % 4_000}" for number in range(rows)]
    store.append_table(pa.table({"stream_id": streams, "type": ["T"] * rows, "data": ["{}"] * rows}))
    shards = {segment.shard for segment in store._log.segments()}
    assert shards == {f"h{digit:x}" for digit in range(16)}
    assert store.read_stream("s-77")["version"].to_pylist() == list(range(1, 226))


def test_append_between_plan_and_commit_of_a_merge_is_kept(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    fill(store, 5)
    assert compaction.merge(objects, log, SegmentFiles(objects), chosen) is not None
    assert everything(store)["position"].to_pylist() == list(range(1, 16))


def test_second_compactor_of_the_same_files_gives_way(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    store.compact()
    assert compaction.merge(objects, log, SegmentFiles(objects), chosen) is None
    assert everything(store)["position"].to_pylist() == list(range(1, 11))


def test_losing_compactor_leaves_no_files_behind(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    store.compact()
    files = set((tmp_path / "events").rglob("*.parquet"))
    compaction.merge(objects, log, SegmentFiles(objects), chosen)
    assert set((tmp_path / "events").rglob("*.parquet")) == files


def test_checkpoint_opens_to_the_same_state(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 20)
    store.compact()
    store.checkpoint()
    fill(store, 3)
    with open_store(str(tmp_path)) as other:
        assert everything(other).equals(everything(store))
        assert other.stream_version("s-0") == 5


def test_opening_does_without_the_commits_before_a_checkpoint(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, 20)
    version = store.checkpoint().delta_version
    for commit in range(version):
        (tmp_path / "events" / "_delta_log" / f"{commit:020d}.json").unlink()
    with open_store(str(tmp_path), create=True) as other:
        assert other.head() == 20
        assert other.append("s-0", [Event("Happened", {})], 4).position == 21


@pytest.mark.parametrize("torn", ["_last_checkpoint", "{version:020d}.checkpoint.parquet"])
def test_torn_checkpoint_is_done_without(store: DeltaEventStore, tmp_path: Path, torn: str) -> None:
    fill(store, 20)
    version = store.checkpoint().delta_version
    (tmp_path / "events" / "_delta_log" / torn.format(version=version)).write_bytes(b"")
    with open_store(str(tmp_path)) as other:
        assert other.head() == 20


def test_writer_merges_and_checkpoints_by_itself(tmp_path: Path) -> None:
    seen: list[Measurement] = []

    class Seen:
        def record(self, measurement: Measurement) -> None:
            seen.append(measurement)

    with open_store(str(tmp_path), create=True, observer=Seen()) as store:
        fill(store, 700)
        assert everything(store)["position"].to_pylist() == list(range(1, 701))
    assert any(isinstance(m, Compacted) for m in seen)
    assert any(isinstance(m, Checkpointed) for m in seen)
    with open_store(str(tmp_path)) as store:
        assert len(store._log.segments()) < 200


def test_merging_rewrites_an_event_a_bounded_number_of_times(tmp_path: Path) -> None:
    """Whatever the sizes of commits, no event is written more often than its run can grow."""
    with open_store(str(tmp_path), create=True) as store:
        rewritten = 0
        for number in range(400):
            size = 500 if number % 16 == 0 else 1
            store.append(f"s-{number}", [Event("Happened", {}) for _ in range(size)])
            while chosen := compaction.due(store._log.segments()):
                done = compaction.merge(store._objects, store._log, store._files, chosen)
                rewritten += done.events if done else 0
        assert rewritten < 5 * store.head()
