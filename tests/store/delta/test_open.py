"""Opening refuses what it cannot trust, and says what is wrong."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import deltalake
import orjson
import pyarrow as pa
import pytest

from store import Event, StoreClosedError, TableRefusedError, open_store
from store.delta.log import log_path


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    with open_store(str(tmp_path), create=True) as store:
        for number in range(3):
            store.append("a", [Event("Happened", {"number": number})])
    return tmp_path


def commit(warehouse: Path, version: int) -> Path:
    return warehouse / "events" / log_path(version)


def add_commit(warehouse: Path, version: int, *actions: dict[str, object]) -> None:
    commit(warehouse, version).write_bytes(b"\n".join(orjson.dumps(action) for action in actions))


def refusal(warehouse: Path) -> str:
    with pytest.raises(TableRefusedError) as refused:
        open_store(str(warehouse))
    return str(refused.value)


def test_open_refuses_a_place_without_a_log(tmp_path: Path) -> None:
    assert "create=True" in refusal(tmp_path)


def test_open_creates_nothing_unless_asked(tmp_path: Path) -> None:
    refusal(tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def test_create_leaves_an_existing_log_as_it_is(warehouse: Path) -> None:
    with open_store(str(warehouse), create=True) as store:
        assert store.head() == 3


def test_open_takes_a_file_uri(warehouse: Path) -> None:
    with open_store(warehouse.as_uri()) as store:
        assert store.head() == 3


def test_open_refuses_unknown_places() -> None:
    with pytest.raises(TableRefusedError, match="ftp"):
        open_store("ftp://somewhere/else")


@pytest.mark.parametrize("body", [b"", b"\0" * 200, b"\n"])
def test_open_refuses_an_empty_last_commit(warehouse: Path, body: bytes) -> None:
    commit(warehouse, 3).write_bytes(body)
    assert "commit 3 is empty" in refusal(warehouse)


def test_open_refuses_a_torn_last_commit(warehouse: Path) -> None:
    whole = commit(warehouse, 3).read_bytes()
    commit(warehouse, 3).write_bytes(whole[: len(whole) // 2])
    assert "commit 3 is torn" in refusal(warehouse)


def test_open_refuses_a_plain_delta_table(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path / "events"), pa.table({"x": [1]}))
    assert "no Alluvium log" in refusal(tmp_path)


def test_open_names_the_features_it_does_not_write(warehouse: Path) -> None:
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["alluvium", "changeDataFeed"]}
    add_commit(warehouse, 4, {"commitInfo": {"alluvium": {}}}, {"protocol": protocol})
    assert "changeDataFeed" in refusal(warehouse)


def test_open_refuses_a_newer_format(warehouse: Path) -> None:
    first = commit(warehouse, 0).read_bytes().replace(b'"alluvium.format":"1"', b'"alluvium.format":"2"')
    commit(warehouse, 0).write_bytes(first)
    assert "format '2'" in refusal(warehouse)


def test_open_refuses_a_commit_of_a_foreign_writer(warehouse: Path) -> None:
    add_commit(warehouse, 4, {"commitInfo": {"operation": "DELETE", "engineInfo": "Other/1.0"}})
    assert "foreign writer (Other/1.0)" in refusal(warehouse)


def test_open_refuses_a_log_whose_rows_are_not_its_positions(warehouse: Path) -> None:
    commit(warehouse, 2).write_bytes(b"".join(line for line in commit(warehouse, 2).read_bytes().splitlines(True) if b'"add"' not in line))
    assert "commit 2 holds other positions" in refusal(warehouse)


def test_open_refuses_a_log_that_names_files_outside(warehouse: Path) -> None:
    torn = commit(warehouse, 3).read_bytes().replace(b'"path":"shard', b'"path":"../../shard').replace(b'"path":"..%2F', b'"path":"../')
    commit(warehouse, 3).write_bytes(torn)
    assert "not one of ours" in refusal(warehouse)


def test_running_store_refuses_what_a_foreign_writer_adds(warehouse: Path) -> None:
    with open_store(str(warehouse)) as store:
        add_commit(warehouse, 4, {"commitInfo": {"operation": "WRITE"}})
        with pytest.raises(TableRefusedError, match="foreign"):
            store.append("a", [Event("Happened", {})])


def test_foreign_writers_are_refused_by_the_table_itself(warehouse: Path) -> None:
    table = deltalake.DeltaTable(str(warehouse / "events"))
    with pytest.raises(deltalake.exceptions.CommitFailedError, match="alluvium"):
        table.delete("position = 1")
    with open_store(str(warehouse)) as store:
        assert store.head() == 3


def test_damaged_data_file_is_named(warehouse: Path) -> None:
    broken = next((warehouse / "events" / "shard=h").glob("1-1-*.parquet"))
    broken.write_bytes(b"PAR1" + bytes(100))
    with open_store(str(warehouse)) as store, pytest.raises(TableRefusedError, match=broken.name):
        store.read_all().read_all()


def test_two_handles_of_one_process_race_like_two_processes(warehouse: Path) -> None:
    with open_store(str(warehouse)) as one, open_store(str(warehouse)) as two:
        for number in range(10):
            (one if number % 2 else two).append("b", [Event("Happened", {})], number)
        assert one.head() == two.head() == 13


def _append_in_child(store, answers) -> None:  # type: ignore[no-untyped-def]
    try:
        store.append("a", [Event("Happened", {})])
    except StoreClosedError as error:
        answers.put(str(error))


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_forked_child_is_told_to_open_its_own(warehouse: Path) -> None:
    with open_store(str(warehouse)) as store:
        store.append("a", [Event("Happened", {})])
        fork = multiprocessing.get_context("fork")
        answers = fork.SimpleQueue()
        child = fork.Process(target=_append_in_child, args=(store, answers))
        child.start()
        assert "fork" in answers.get()
        child.join()
        assert os.getpid() != child.pid
        assert store.append("a", [Event("Happened", {})]).version == 5
