"""Rows that wait beside a table for a commit of somebody else."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from store import File, KeyedTable, TableMovedError, TableRefusedError

COLUMNS = pa.schema({"place": pa.string(), "number": pa.int64(), "said": pa.string()})
KEY = ("place", "number")


@pytest.fixture
def table(tmp_path: Path) -> KeyedTable:
    return opened(tmp_path)


def opened(directory: Path) -> KeyedTable:
    return KeyedTable(f"{directory}/places", "places", COLUMNS, KEY)


def rows(numbers: Sequence[int], place: str = "a") -> pa.Table:
    return pa.Table.from_pylist([{"place": place, "number": number, "said": str(number)} for number in numbers], schema=COLUMNS)


def age(table: KeyedTable, days: int) -> None:
    """Let all of its files be so old."""
    then = time.time() - days * 86_400
    for file in Path(table.uri).glob("*.parquet"):
        os.utime(file, (then, then))


def names(table: KeyedTable) -> set[str]:
    return {file.name for file in Path(table.uri).glob("*.parquet")}


def test_what_is_recorded_stays_through_a_vacuum_and_what_is_not_goes_after_a_day(table: KeyedTable, tmp_path: Path) -> None:
    kept, lost = table.stage(rows([3, 1, 2])), table.stage(rows([4]))
    table.turn().record({"first": [kept]}, {"by": "me"})
    age(table, 2)
    opened(tmp_path).maintain()
    assert names(table) == {kept.path} != {lost.path}
    found = opened(tmp_path).turn()
    assert {label: [file.path for file in files] for label, files in found.staged.items()} == {"first": [kept.path]}
    assert found.state.marks["by"] == "me"
    assert pa.concat_tables(table.merged(found.staged["first"]))["number"].to_pylist() == [1, 2, 3]
    table.turn().record({}, {})
    table.maintain()
    assert names(table) == set()


def test_nobody_sees_rows_before_they_are_published_in_one_commit(table: KeyedTable) -> None:
    files = [table.stage(rows(range(number, 50_000, 3))) for number in range(3)]
    table.turn().record({"all": files}, {"step": "filled"})
    assert (len(table.rows()), table.state().delta_version) == (0, 0)
    turn = table.turn()
    turn.replace_by(table.merged(files), 50_000, {"done": 1}, turn.state.marks)
    assert (table.state().delta_version, table.state().txns, table.turn().staged) == (1, {"done": 1}, {})
    assert table.state().marks == {"step": "filled"}
    assert table.rows(["number"])["number"].to_pylist() == list(range(50_000))
    assert len(table.files()) > 3                   # leaves, not one file


def test_merging_holds_a_block_of_each_file_and_keeps_those_of_one_key_together(table: KeyedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.keyed.opened.GROUP_BYTES", 4_000)
    monkeypatch.setattr("store.keyed.keyed_table.GROUP_BYTES", 4_000)
    files = [table.stage(rows(range(0, 3_000, 2))), table.stage(rows(range(1, 3_000, 2), "b"))]
    again = table.stage(rows(range(0, 3_000, 5)).select(KEY))
    blocks = list(table.merged_keys([*files, again]))
    assert max(len(block) for block in blocks) < 700 < len(blocks) * 100
    keys = [tuple(row.values()) for block in blocks for row in block.to_pylist()]
    assert keys == sorted([*(("a", n) for n in range(0, 3_000, 2)), *(("b", n) for n in range(1, 3_000, 2)), *(("a", n) for n in range(0, 3_000, 5))])
    for before, after in pairwise(blocks):
        assert before.to_pylist()[-1] != after.to_pylist()[0]


def test_of_two_who_record_from_one_state_one_wins(table: KeyedTable) -> None:
    mine, theirs, file = table.turn(), table.turn(), table.stage(rows([1]))
    theirs.record({"theirs": []}, {})
    with pytest.raises(TableMovedError):
        mine.record({"mine": [file]}, {})
    turn = table.turn()
    turn.record({**turn.staged, "mine": [file]}, {})
    assert set(table.turn().staged) == {"mine", "theirs"}


def test_what_was_staged_long_ago_is_not_recorded(table: KeyedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    file = table.stage(rows([1]))
    table.turn().record({"kept": [file]}, {})
    monkeypatch.setattr("store.keyed.keyed_turn.RECORDED_WITHIN_S", -1.0)
    table.turn().record({"kept": [file]}, {"still": "there"})
    with pytest.raises(TableRefusedError, match="staged long ago, and may be gone; stage its rows anew"):
        table.turn().record({"late": [table.stage(rows([2]))]}, {})


def test_whoever_merges_what_another_has_published_meanwhile_is_told_so(table: KeyedTable, tmp_path: Path) -> None:
    file: File = table.stage(rows([1]))
    table.turn().record({"one": [file]}, {})
    table.unstage([file])
    with pytest.raises(TableRefusedError, match="is missing"):
        list(opened(tmp_path).merged([file]))
    table.turn().record({}, {})
    with pytest.raises(TableMovedError):
        list(opened(tmp_path).merged([file]))


@pytest.mark.parametrize("mark", ["{", '{"a": [["../../passwd.parquet", 1, 1, 1, {}]]}', '{"a": [["x.parquet"]]}', "[1]"])
def test_a_mark_that_is_none_of_ours_is_refused(table: KeyedTable, mark: str) -> None:
    nothing = COLUMNS.empty_table()
    table.turn().commit(nothing, nothing, {}, {"alluvium.staged": mark})
    with pytest.raises(TableRefusedError):
        table.turn().staged  # noqa: B018
    with pytest.raises(TableRefusedError):
        table.maintain()
