from __future__ import annotations

import shutil
import tempfile
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store import KeyedTable, KeyedTurn, TableMovedError, TableRefusedError
from store.keyed import leaves, upkeep

COLUMNS = pa.schema({"place": pa.string(), "number": pa.int64(), "said": pa.string(), "tags": pa.list_(pa.string())})
NOTHING = COLUMNS.empty_table().select(["place", "number"])


@pytest.fixture(autouse=True)
def small_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "LEAST_ROWS", 4)


@pytest.fixture
def table(tmp_path: Path) -> KeyedTable:
    return opened(tmp_path)


def opened(directory: Path | str) -> KeyedTable:
    return KeyedTable(f"{directory}/places", "places", COLUMNS, ("place", "number"))


def rows(*numbers: int, said: str = "x", place: str = "a") -> pa.Table:
    return pa.Table.from_pylist([{"place": place, "number": n, "said": said, "tags": [str(n)]} for n in numbers], schema=COLUMNS)


def put(table: KeyedTable, *numbers: int, said: str = "x", deleted: tuple[int, ...] = ()) -> None:
    turn = table.turn()
    turn.commit(rows(*numbers, said=said), rows(*deleted), {"step": turn.state.txns.get("step", 0) + 1})


def numbers(table: KeyedTable) -> list[int]:
    return table.rows(["number"])["number"].to_pylist()


class Table(RuleBasedStateMachine):
    """Beside it a dict that is told the same."""

    keys = st.tuples(st.sampled_from(["", "a", "é", "z\U0001f600"]), st.integers(-3, 12))

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.table = opened(self.directory)
        self.told: dict[tuple[str, int], str] = {}
        self.turn: KeyedTurn = self.table.turn()
        self.steps = 0

    @rule(put=st.dictionaries(keys, st.text(max_size=3), max_size=12), gone=st.sets(keys, max_size=6))
    def commit(self, put: dict[tuple[str, int], str], gone: set[tuple[str, int]]) -> None:
        self.steps += 1
        fresh = [{"place": place, "number": number, "said": said, "tags": [said]} for (place, number), said in put.items()]
        lost = pa.Table.from_pylist([{"place": place, "number": number} for place, number in gone - put.keys()], schema=NOTHING.schema)
        self.turn.commit(pa.Table.from_pylist(fresh, schema=COLUMNS), lost, {"step": self.steps})
        self.told = {key: said for key, said in self.told.items() if key not in gone} | put

    @rule(wanted=st.sets(keys, max_size=8))
    def read(self, wanted: set[tuple[str, int]]) -> None:
        asked = pa.Table.from_pylist([{"place": place, "number": number} for place, number in wanted], schema=NOTHING.schema)
        found = {(row["place"], row["number"]): row["said"] for row in self.turn.rows(asked).to_pylist()}
        assert found == {key: said for key, said in self.told.items() if key in wanted}

    @rule()
    def replace(self) -> None:
        self.steps += 1
        self.turn.replace(self.table.rows(), {"step": self.steps}, {"mark": str(self.steps)})

    @rule()
    def reopen(self) -> None:
        self.table = opened(self.directory)
        self.turn = self.table.turn()

    @rule()
    def maintain(self) -> None:
        self.table.maintain()
        self.turn = self.table.turn()

    @invariant()
    def holds_what_it_was_told_in_order(self) -> None:
        there = [(row["place"], row["number"], row["said"], row["tags"]) for row in self.table.rows().to_pylist()]
        assert there == [(place, number, said, [said]) for (place, number), said in sorted(self.told.items())]
        state = self.table.state()
        assert (state.txns.get("step", 0), state.row_count) == (self.steps, len(self.told))
        assert self.turn.state.leaves.files == state.leaves.files

    def teardown(self) -> None:
        shutil.rmtree(self.directory)


def test_it_holds_what_a_dict_would(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Table.TestCase
    machine.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
    machine("runTest").runTest()


def test_a_place_never_written_is_empty_and_makes_nothing(table: KeyedTable) -> None:
    state = table.state()
    assert (len(table.rows()), state.txns, state.row_count, state.delta_version) == (0, {}, 0, -1)
    assert not Path(table.uri).exists()


def test_a_change_rewrites_the_leaves_it_touches_alone(table: KeyedTable) -> None:
    put(table, *range(60))
    before = set(table.files())
    assert len(before) >= 8
    put(table, 30, said="y")
    assert len(before - set(table.files())) == 1
    assert table.rows().filter(pa.compute.equal(table.rows()["said"], "y"))["number"].to_pylist() == [30]


def test_a_leaf_that_grows_is_cut(table: KeyedTable) -> None:
    for number in range(40):
        put(table, number)
    assert numbers(table) == list(range(40))
    assert max(file.rows for file in table.state().leaves.files) <= 8


def test_wide_rows_make_leaves_of_few(table: KeyedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaves, "MOST_BYTES", 1 << 16)
    put(table, *range(12), said="w" * 30_000)
    assert len(table.files()) > 3


def test_deleting_what_is_not_there_rewrites_nothing(table: KeyedTable) -> None:
    put(table, *range(10))
    before = table.files()
    put(table, deleted=(77,))
    assert (table.files(), table.state().txns) == (before, {"step": 2})


def test_what_deletes_have_left_small_is_merged_by_upkeep(table: KeyedTable) -> None:
    put(table, *range(60))
    put(table, deleted=tuple(number for number in range(60) if number % 10))
    before = len(table.files())
    done = table.maintain(dry_run=True)
    assert (len(table.files()), sum(merge.files_before for merge in done.compacted) > 1) == (before, True)
    table.maintain()
    assert (numbers(table), len(table.files()) < before) == ([0, 10, 20, 30, 40, 50], True)
    assert KeyedTable(table.uri, "places", COLUMNS, table.key).state().row_count == 6


def test_of_two_turns_from_one_state_one_wins(table: KeyedTable) -> None:
    for first_rows, second_rows in ((rows(1), rows(2)), (rows(), rows(3)), (rows(4), rows())):
        ours, theirs = table.turn(), opened(Path(table.uri).parent).turn()
        step = theirs.state.txns.get("step", 0) + 1
        theirs.commit(first_rows, NOTHING, {"step": step})
        files = set(table.files())
        with pytest.raises(TableMovedError):
            ours.commit(second_rows, NOTHING, {"step": step})
        assert set(table.files()) == files
    assert set(Path(table.uri).glob("*.parquet")) >= set(map(Path, table.files()))


def test_a_turn_goes_on_from_its_own_commit_not_from_anothers(table: KeyedTable) -> None:
    """Else it would apply once more what the other one has done meanwhile."""
    ours = table.turn()
    ours.commit(rows(1), NOTHING, {"step": 1})
    opened(Path(table.uri).parent).turn().commit(rows(2), NOTHING, {"step": 2})
    with pytest.raises(TableMovedError):
        ours.commit(rows(2), NOTHING, {"step": 2})


def test_a_turn_outlives_the_upkeep_of_others_that_moves_no_rows(table: KeyedTable) -> None:
    put(table, *range(3))
    turn = table.turn()
    opened(Path(table.uri).parent).maintain()
    turn.commit(rows(3), NOTHING, {"step": 2})
    assert numbers(table) == [0, 1, 2, 3]


def test_many_threads_and_handles_lose_nothing(tmp_path: Path) -> None:
    together, lost = threading.Barrier(4), []

    def run(name: str) -> None:
        mine = opened(tmp_path)
        together.wait()
        for number in range(8):
            while True:
                turn = mine.turn()
                try:
                    turn.commit(rows(number, place=name), NOTHING, {"step": turn.state.txns.get("step", 0) + 1})
                    break
                except TableMovedError as error:
                    lost.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = opened(tmp_path).state()
    assert (state.row_count, state.txns["step"]) == (32, 32)


def test_every_type_of_column_comes_back_as_it_was(tmp_path: Path) -> None:
    columns = pa.schema(
        {
            "day": pa.date32(), "price": pa.decimal128(12, 2), "at": pa.timestamp("us", "UTC"), "ok": pa.bool_(), "small": pa.int32(),
            "ratio": pa.float64(), "place": pa.struct({"x": pa.int32()}), "many": pa.list_(pa.struct({"y": pa.string()})),
        }
    )  # fmt: skip
    key = ("day", "price", "at", "ok", "small")
    table = KeyedTable(str(tmp_path), "typed", columns, key)
    told = [
        {
            "day": date(2013, 1, 1 + number % 3), "price": Decimal(number) / 4, "at": datetime(2013, 1, 1, 0, 0, 0, number, UTC),
            "ok": bool(number % 2), "small": -number, "ratio": number / 3, "place": {"x": number}, "many": [{"y": str(number)}],
        }
        for number in range(40)
    ]  # fmt: skip
    given = pa.Table.from_pylist(told, schema=columns)
    turn = table.turn()
    for start in (0, 20):
        turn.commit(given.slice(start, 20), given.slice(0, 0), {})
    assert table.turn().rows(given.slice(5, 30)).sort_by("small").equals(given.slice(5, 30).sort_by("small"))
    assert table.rows().equals(given.sort_by([(name, "ascending") for name in key]))
    assert pl.read_delta(table.uri).height == DeltaTable(table.uri).count() == 40


def test_a_key_that_is_null_is_refused(table: KeyedTable) -> None:
    with pytest.raises(ValueError, match="number is part of the key, and null in 1 rows"):
        table.turn().commit(pa.Table.from_pylist([{"place": "a"}], schema=COLUMNS), NOTHING, {})
    assert table.state().delta_version == -1


def test_marks_and_txns_are_told_to_every_reader(table: KeyedTable) -> None:
    turn = table.turn()
    turn.commit(rows(1), NOTHING, {"places": 7}, {"made.by": "tests"})
    turn.commit(rows(2), NOTHING, {"places": 8})
    for state in (table.state(), turn.state, opened(Path(table.uri).parent).state()):
        assert (state.txns, state.marks) == ({"places": 8}, {"made.by": "tests"})
    theirs = DeltaTable(table.uri)
    assert (theirs.transaction_version("places"), theirs.metadata().configuration["made.by"]) == (8, "tests")


def test_marks_are_as_exclusive_as_rows(table: KeyedTable) -> None:
    put(table, 1)
    ours, theirs = table.turn(), opened(Path(table.uri).parent).turn()
    theirs.commit(rows(), NOTHING, {}, {"paused": "yes"})
    with pytest.raises(TableMovedError):
        ours.commit(rows(2), NOTHING, {"step": 2})
    assert (numbers(table), table.state().marks) == ([1], {"paused": "yes"})


def test_replacing_all_rows_is_one_commit(table: KeyedTable) -> None:
    put(table, *range(60))
    version = table.state().delta_version
    turn = table.turn()
    turn.replace(rows(5, 6), {"step": 1}, {"made": "anew"})
    assert (numbers(table), table.state().delta_version) == ([5, 6], version + 1)
    for state in (table.state(), turn.state, opened(Path(table.uri).parent).state()):
        assert (state.marks, state.txns) == ({"made": "anew"}, {"step": 1})


def test_other_readers_see_the_same_rows(table: KeyedTable) -> None:
    put(table, *range(30))
    put(table, *range(5, 40), said="y", deleted=(2, 3))
    table.maintain()
    put(table, 41)
    ours = table.rows().to_pylist()
    assert pl.read_delta(table.uri).sort("place", "number").to_dicts() == ours
    assert pa.RecordBatchReader.from_stream(DeltaTable(table.uri).scan()).read_all().cast(COLUMNS).sort_by("number").to_pylist() == ours
    with duckdb.connect() as session:
        assert session.read_parquet(table.files()).order("number").to_arrow_table().cast(COLUMNS).to_pylist() == ours


def test_nobody_else_can_write_it(table: KeyedTable) -> None:
    put(table, 1)
    with pytest.raises(Exception, match=r"(?i)feature"):
        write_deltalake(DeltaTable(table.uri), rows(2), mode="append")
    with pytest.raises(Exception, match=r"(?i)feature"):
        DeltaTable(table.uri).optimize.compact()


def test_columns_and_a_limit(table: KeyedTable) -> None:
    put(table, *range(60))
    assert table.rows(["said", "number"], limit=13).column_names == ["said", "number"]
    assert table.rows(["number"], limit=13)["number"].to_pylist() == list(range(13))


def test_the_last_rows_are_those_of_the_greatest_keys_in_their_order(table: KeyedTable) -> None:
    assert table.last_rows(5).num_rows == 0
    put(table, *range(60))
    assert len(table.files()) > 3
    assert table.last_rows(13, ["number"])["number"].to_pylist() == list(range(47, 60))
    assert numbers(table) == table.last_rows(99)["number"].to_pylist()


def test_a_table_of_other_columns_is_refused_with_both(table: KeyedTable) -> None:
    put(table, 1)
    other = KeyedTable(table.uri, "places", pa.schema({"place": pa.string(), "number": pa.int64()}), table.key)
    with pytest.raises(TableRefusedError, match=r"place string, number long, said string, tags array.*are place string, number long"):
        other.rows()


def test_a_table_that_was_removed_is_made_anew_by_the_next_turn(table: KeyedTable) -> None:
    put(table, *range(5))
    shutil.rmtree(table.uri)
    put(table, 1)
    assert numbers(table) == numbers(opened(Path(table.uri).parent)) == [1]


def test_a_missing_leaf_is_told_and_nothing_is_written(table: KeyedTable) -> None:
    put(table, *range(5))
    Path(table.files()[0]).unlink()
    version, again = table.state().delta_version, opened(Path(table.uri).parent)
    attempts: list[Any] = [again.rows, lambda: again.turn().rows(rows(1)), lambda: put(again, 1)]
    for attempt in attempts:
        with pytest.raises(TableRefusedError, match="is missing"):
            attempt()
    assert again.state().delta_version == version


def test_a_reader_goes_on_when_what_it_reads_is_replaced_and_vacuumed(table: KeyedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    put(table, *range(20))
    reader = opened(Path(table.uri).parent)
    state = reader.state

    def then_vacuumed() -> Any:
        seen = state()
        monkeypatch.setattr(reader, "state", state)
        put(table, *range(20), said="y")
        for file in seen.leaves.files:
            Path(table.uri, file.path).unlink()
        return seen

    monkeypatch.setattr(reader, "state", then_vacuumed)
    assert set(reader.rows()["said"].to_pylist()) == {"y"}


def test_who_slept_while_leaves_were_replaced_and_vacuumed_is_told_so_and_nothing_is_damaged(
    table: KeyedTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a runner is that was stopped for longer than replaced files stay."""
    monkeypatch.setattr(upkeep, "RETENTION_S", 0.0)
    put(table, *range(0, 60, 10))
    turns = [opened(Path(table.uri).parent).turn() for _ in range(2)]
    put(table, *range(0, 60, 10), said="y")
    table.maintain()
    with pytest.raises(TableMovedError):
        turns[0].rows(rows(0))
    with pytest.raises(TableMovedError):
        turns[1].commit(rows(1), NOTHING, {"step": 1})


def test_upkeep_that_slept_while_others_merged_leaves_these_to_them(table: KeyedTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "RETENTION_S", 0.0)
    put(table, *range(60))
    for number in range(0, 60, 10):
        put(table, deleted=tuple(range(number + 1, number + 10)))
    asleep = opened(Path(table.uri).parent)
    asleep.state()
    assert asleep._upkeep is not None
    small = asleep._upkeep._small()
    assert small
    for _ in range(2):                             # what the first one replaces, the second one removes
        table.maintain()
    monkeypatch.setattr(asleep._upkeep, "_small", lambda: small)
    assert asleep.maintain().compacted == []
    assert numbers(asleep) == list(range(0, 60, 10))


def test_an_object_store_holds_it_as_well(s3_warehouse: str) -> None:
    table = opened(s3_warehouse)
    put(table, *range(20))
    put(table, 3, said="y", deleted=(4,))
    assert (table.rows()["said"].to_pylist().count("y"), len(table.rows())) == (1, 19)
    assert opened(s3_warehouse).state().txns == {"step": 2}


@pytest.mark.parametrize("key", ["name", "at", "a,b.c`d e"])
def test_a_filter_by_arrow_finds_the_rows_whatever_column_it_is_about(tmp_path: Path, key: str) -> None:
    """Also where the key has no bounds in the log, or a name that Delta has to quote."""
    columns = pa.schema({"name": pa.string(), "at": pa.timestamp("us", "UTC"), "a,b.c`d e": pa.string(), "n": pa.int64(), "ratio": pa.float64()})
    table = KeyedTable(str(tmp_path), "odd", columns, (key,))
    row = {"name": "x", "at": datetime(2013, 1, 1, tzinfo=UTC), "a,b.c`d e": "y", "n": 1, "ratio": 0.5}
    table.turn().commit(pa.Table.from_pylist([row], columns), columns.empty_table().select([key]), {})
    files = pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem())
    for name, value in row.items():
        assert len(DeltaTable(table.uri).to_pyarrow_table(filesystem=files, filters=[(name, "=", value)])) == 1
