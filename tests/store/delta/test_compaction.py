"""Compaction changes files, never what is read; where runs end, and how often an event is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import log as logarithm
from pathlib import Path

import pyarrow as pa
import pytest

from store import open_store
from store.delta import compaction, segment
from store.delta.delta_store import DeltaEventStore
from store.delta.log import Log, Nobody
from store.delta.segment_files import SegmentFiles
from store.observer import Committed, Compacted, Measurement
from store.storage.local_objects import LocalObjects
from tests.store.delta.layout import JOINED_ROWS, RUN_ROWS, fill, merge_due, small_layout

__all__ = ["small_layout"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(str(tmp_path), create=True) as store:
        yield store


def everything(store: DeltaEventStore) -> pa.Table:
    return store.read_all().read_all()


def runs(store: DeltaEventStore) -> list[tuple[int, int]]:
    return sorted({s.run for s in store._log.segments()})


def rows_of(store: DeltaEventStore, path: str) -> list[tuple[int, str, int]]:
    location = store._objects.location(path)
    return store.sql("select position, stream_id, version from read_parquet(?) order by file_row_number", [location]).fetchall()


def test_compaction_changes_nothing_that_is_read(store: DeltaEventStore) -> None:
    fill(store, [1] * 30)
    before, stream = everything(store), store.read_stream("s-3")
    assert store.compact() != []
    assert everything(store).equals(before)
    assert store.read_stream("s-3").equals(stream)


def test_compaction_leaves_one_file_of_many(store: DeltaEventStore) -> None:
    fill(store, [1] * 30)
    store.compact()
    assert len(store._log.segments()) == 1
    assert store.compact() == []


def test_large_runs_are_spread_over_leaf_shards(store: DeltaEventStore) -> None:
    rows = 900_000
    streams = [f"s-{number % 4_000}" for number in range(rows)]
    store.append_table(pa.table({"stream_id": streams, "type": ["T"] * rows, "data": ["{}"] * rows}))
    shards = {s.shard for s in store._log.segments()}
    assert shards == {f"h{digit:x}" for digit in range(16)}
    assert store.read_stream("s-77")["version"].to_pylist() == list(range(1, 226))


@pytest.mark.usefixtures("small_layout")
def test_compacted_rows_are_sorted_by_section_stream_and_version(store: DeltaEventStore) -> None:
    fill(store, [3] * 50)
    store.compact()
    for s in store._log.segments():
        rows = [((position - 1) // 16, stream_id, version) for position, stream_id, version in rows_of(store, s.path)]
        assert rows == sorted(rows)


@pytest.mark.usefixtures("small_layout")
@pytest.mark.parametrize("sizes", [[1] * 150, [7] * 30, [50, 50, 50], [150], [3, 300]])
def test_merged_runs_end_where_an_aligned_range_ends(store: DeltaEventStore, sizes: list[int]) -> None:
    fill(store, sizes)
    before = everything(store)
    store.compact()
    head = sum(sizes)
    full = head // JOINED_ROWS * JOINED_ROWS
    wanted = [(start + 1, start + JOINED_ROWS) for start in range(0, full, JOINED_ROWS)]
    wanted += [(start + 1, min(head, start + RUN_ROWS)) for start in range(full, head, RUN_ROWS)]
    assert runs(store) == wanted
    assert everything(store).equals(before)


@pytest.mark.usefixtures("small_layout")
def test_large_append_is_cut_where_an_aligned_range_ends(store: DeltaEventStore) -> None:
    fill(store, [3, 150])
    assert runs(store) == [(1, 3), (4, 64), (65, 128), (129, 153)]


@pytest.mark.usefixtures("small_layout")
def test_range_that_the_head_has_passed_becomes_one_run_however_its_runs_grew(store: DeltaEventStore) -> None:
    fill(store, [60, 3])
    assert merge_due(store) == []
    fill(store, [2])
    assert len(merge_due(store)) == 1
    assert runs(store) == [(1, 64), (65, 65)]


@pytest.mark.usefixtures("small_layout")
def test_sealed_runs_side_by_side_are_joined_shard_by_shard(store: DeltaEventStore) -> None:
    fill(store, [RUN_ROWS] * 5)
    before = everything(store)
    files = Counter(s.shard for s in store._log.segments() if s.last <= JOINED_ROWS)
    merges = store.compact()
    assert sorted(done.files_before for done in merges) == sorted(files.values())
    assert all(done.files_after == 1 for done in merges)
    assert runs(store) == [(1, JOINED_ROWS), (JOINED_ROWS + 1, JOINED_ROWS + RUN_ROWS)]
    assert everything(store).equals(before)


@pytest.mark.usefixtures("small_layout")
def test_log_reads_the_same_between_the_joins_of_two_shards(store: DeltaEventStore) -> None:
    fill(store, [RUN_ROWS] * 4)
    before, stream = everything(store), store.read_stream("s-2")
    while chosen := compaction.due(store._log.segments()):
        assert compaction.merge(store._objects, store._log, store._files, chosen) is not None
        assert everything(store).equals(before)
        assert store.read_stream("s-2").equals(stream)


@pytest.mark.usefixtures("small_layout")
def test_files_are_not_joined_beyond_a_size(store: DeltaEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, [RUN_ROWS] * 4)
    shard = store._log.segments()[0].shard
    pair = sum(s.size_bytes for s in store._log.segments() if s.shard == shard and s.last <= 2 * RUN_ROWS)
    monkeypatch.setattr(compaction, "JOINED_BYTES", pair)
    store.compact()
    assert max(s.rows for s in store._log.segments() if s.shard == shard) < JOINED_ROWS
    assert store.compact() == []


@pytest.mark.usefixtures("small_layout")
@pytest.mark.parametrize("pattern", [[1], [60] + [1] * 15, [7], [511, 2], [1, 2, 4, 8, 16, 32]], ids=str)
def test_merging_rewrites_an_event_a_bounded_number_of_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: list[int]) -> None:
    """While its range fills each merge makes its run GROWTH times as long; then it is sealed once and joined once."""
    rows = 512
    monkeypatch.setattr(segment, "RUN_ROWS", rows)
    monkeypatch.setattr(compaction, "JOINED_RUNS", 2)
    seen: list[Measurement] = []

    class Seen:
        def record(self, measurement: Measurement) -> None:
            seen.append(measurement)

    with open_store(str(tmp_path), create=True, observer=Seen()) as store:
        for number in range(1_000):
            if store.head() > rows:
                break
            fill(store, [pattern[number % len(pattern)]])
            seen += merge_due(store)
        files = len(store._log.segments())
    rewritten = sum(m.events for m in seen if isinstance(m, Compacted))
    appended = sum(m.events for m in seen if isinstance(m, Committed))
    assert appended > rows
    assert rewritten <= appended * (logarithm(rows, compaction.GROWTH) + 2)
    assert files <= 60


def test_append_between_plan_and_commit_of_a_merge_is_kept(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [1] * 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    fill(store, [1] * 5)
    assert compaction.merge(objects, log, SegmentFiles(objects), chosen) is not None
    assert everything(store)["position"].to_pylist() == list(range(1, 16))


def test_second_compactor_of_the_same_files_gives_way(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [1] * 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    store.compact()
    assert compaction.merge(objects, log, SegmentFiles(objects), chosen) is None
    assert everything(store)["position"].to_pylist() == list(range(1, 11))


def test_losing_compactor_leaves_no_files_behind(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [1] * 10)
    objects = LocalObjects(tmp_path / "events")
    log = Log(objects, Nobody())
    chosen = compaction.mergeable(log.segments())
    store.compact()
    files = set((tmp_path / "events").rglob("*.parquet"))
    compaction.merge(objects, log, SegmentFiles(objects), chosen)
    assert set((tmp_path / "events").rglob("*.parquet")) == files


@pytest.mark.usefixtures("small_layout")
def test_two_compactors_join_different_shards_of_the_same_runs(store: DeltaEventStore, tmp_path: Path) -> None:
    fill(store, [RUN_ROWS] * 4)
    before = everything(store)
    objects = LocalObjects(tmp_path / "events")
    other = Log(objects, Nobody())
    first = compaction.due(store._log.segments())
    shard = next(s.shard for s in other.segments() if s.shard != first[0].shard)
    second = [s for s in other.segments() if s.shard == shard]
    assert compaction.merge(store._objects, store._log, store._files, first) is not None
    assert compaction.merge(objects, other, SegmentFiles(objects), second) is not None
    assert everything(store).equals(before)
