"""Heads files say what the log says, in memory and on disk, or count as missing."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.delta import head_runs
from store.delta.head_runs import Head, HeadRun, hash_of
from store.storage.local_objects import LocalObjects

Placed = list[tuple[str, int, int]]
"""(stream id, version, position)"""

histories = st.lists(st.sampled_from([f"s-{number}" for number in range(30)]), min_size=1, max_size=200)


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


def placed(stream_ids: list[str]) -> Placed:
    versions: dict[str, int] = {}
    rows = []
    for position, stream_id in enumerate(stream_ids, start=1):
        versions[stream_id] = versions.get(stream_id, 0) + 1
        rows.append((stream_id, versions[stream_id], position))
    return rows


def run(rows: Placed, after: int = 0) -> HeadRun:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return head_runs.gathered(after, rows[-1][2], [pa.table(columns, names=["stream_id", "version", "position"])])


def expected(rows: Placed, stream_id: str) -> Head | None:
    of = [(version, position) for stream, version, position in rows if stream == stream_id]
    return Head(of[-1][0], of[0][1], of[-1][1]) if of else None


@given(histories)
def test_run_knows_version_and_span_of_each_stream(stream_ids: list[str]) -> None:
    rows = placed(stream_ids)
    heads = run(rows)
    for stream_id in [*stream_ids, "nobody"]:
        assert heads.find(hash_of(stream_id)) == expected(rows, stream_id)


@given(histories, st.data())
def test_two_runs_joined_know_what_one_run_knows(stream_ids: list[str], data: st.DataObject) -> None:
    rows = placed(stream_ids)
    cut, slice_streams = data.draw(st.integers(1, len(rows))), data.draw(st.integers(1, 40))
    if cut < len(rows):
        with patch.object(head_runs, "JOINED_STREAMS", slice_streams):
            assert head_runs.joined(run(rows[:cut]), run(rows[cut:], cut)).table.equals(run(rows).table)


def test_two_runs_are_joined_a_few_streams_at_a_time() -> None:
    rows = placed([f"s-{number}" for number in range(130)])
    older, newer = run(rows[:100]), run(rows[100:], 100)
    with patch.object(head_runs, "JOINED_STREAMS", 20):
        slices = [len(both) for both in head_runs._slices(older, newer)]
    assert (len(slices), sum(slices)) == (5, 130)
    assert min(slices) >= 20


@given(histories)
def test_many_are_found_at_once_as_one_by_one(stream_ids: list[str]) -> None:
    heads = run(placed(stream_ids[: len(stream_ids) // 2 + 1]))
    asked = pl.Series(sorted({*stream_ids, "nobody"}))
    one_by_one = [heads.find(hash_of(stream_id)) or (None, None, None) for stream_id in asked]
    assert heads.find_all(head_runs.hashes(asked)).rows() == one_by_one


def test_streams_that_share_half_a_hash_are_told_apart() -> None:
    table = pa.table({"high": [7, 7, 9], "low": [1, 2, 1], "version": [10, 20, 30], "first": [1, 2, 3], "last": [4, 5, 6]}, head_runs._SCHEMA)
    heads = head_runs._mapped(0, 6, table)
    assert heads.find((7, 2)) == Head(20, 2, 5)
    assert heads.find((7, 3)) is None
    asked = pl.DataFrame({"high": [7, 7, 7, 9, 8], "low": [2, 1, 3, 1, 1]}, {"high": pl.UInt64, "low": pl.UInt64})
    assert heads.find_all(asked)["version"].to_list() == [20, 10, None, 30, None]
    assert heads.find_all(asked)["last"].to_list() == [5, 4, None, 6, None]


def test_chain_stays_short_and_keeps_all(objects: LocalObjects) -> None:
    rows = placed([f"s-{number % 500}" for number in range(2_000)])
    chain: list[HeadRun] = []
    for start in range(0, 2_000, 20):
        chain = head_runs.add(chain, run(rows[start : start + 20], start))
    assert len(chain) < 6
    assert [(r.after, r.until) for r in chain] == list(zip([0, *(r.until for r in chain)], [r.until for r in chain], strict=False))
    found = [next(head.version for r in reversed(chain) if (head := r.find(hash_of(f"s-{number}")))) for number in range(500)]
    assert found == [4] * 500


def test_saved_run_is_loaded_again(objects: LocalObjects) -> None:
    saved = run(placed(["a", "b", "a"]))
    head_runs.write(objects, saved)
    (loaded,) = head_runs.load(objects, 3)
    assert (loaded.after, loaded.until) == (0, 3)
    assert loaded.table.equals(saved.table)
    assert loaded.find(hash_of("a")) == Head(2, 1, 3)


def test_run_beyond_the_head_is_left_alone(objects: LocalObjects) -> None:
    """This handle does not know those commits yet."""
    head_runs.write(objects, run(placed(["a", "b", "a"])))
    assert head_runs.load(objects, 2) == []


def test_run_without_those_before_it_is_left_alone(objects: LocalObjects) -> None:
    rows = placed(["a", "b", "a", "b"])
    head_runs.write(objects, run(rows[2:], 2))
    assert head_runs.load(objects, 4) == []


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-100], lambda b: b[:300] + b"\xff" + b[301:], lambda b: b"x" * 900])
def test_damaged_run_counts_as_missing(objects: LocalObjects, tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    rows = placed(["a", "b", "a", "b"])
    head_runs.write(objects, run(rows[:2]))
    (file,) = (tmp_path / "_heads").iterdir()
    head_runs.write(objects, run(rows))
    (longer,) = set((tmp_path / "_heads").iterdir()) - {file}
    longer.write_bytes(damage(longer.read_bytes()))
    assert [(r.after, r.until) for r in head_runs.load(objects, 4)] == [(0, 2)]


def test_superseded_files_are_those_within_a_longer_one(objects: LocalObjects) -> None:
    rows = placed(["a", "b", "a", "b", "c", "d"])
    for start, end in [(0, 2), (2, 4), (0, 4), (4, 6)]:
        head_runs.write(objects, run(rows[start:end], start))
    chain = head_runs.load(objects, 6)
    assert [(r.after, r.until) for r in chain] == [(0, 4), (4, 6)]
    assert len(head_runs.superseded(objects, chain)) == 2
