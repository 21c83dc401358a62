"""Whatever happens to the table: a load goes on with what can be read, and the next save mends it. Nothing is destroyed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import polars as pl
import pytest
from deltalake import DeltaTable

from store import Event, NewerTableError, open_store
from store.snapshots.delta_snapshots import DeltaSnapshots
from store.storage.local_objects import LocalObjects
from tests.store.snapshots.conftest import Seen
from tests.store.snapshots.states import snap, versions

Open = Callable[[], DeltaSnapshots]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "snapshots"


@pytest.fixture(autouse=True)
def saved(opened: Open) -> None:
    """Three commits and a checkpoint at the second."""
    snapshots = opened()
    snapshots.save([snap(1)])
    snapshots.save([snap(2, "b-1")])
    snapshots.checkpoint()
    snapshots.save([snap(3)])


def commit(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020d}.json"


def checkpoint(table: Path) -> Path:
    return table / "_delta_log" / f"{1:020d}.checkpoint.parquet"


def foreign(table: Path) -> None:
    """Somebody's own table of the same name."""
    shutil.rmtree(table)
    pl.DataFrame({"name": ["theirs"]}).write_delta(str(table))


def write_foreign_commit(table: Path) -> None:
    line = {"commitInfo": {"engineInfo": "delta-rs:1", "operation": "WRITE"}}
    commit(table, 3).write_bytes(orjson.dumps(line) + b"\n")


def without_a_column(table: Path) -> None:
    """As it is where another layout of ours has made it."""
    body = commit(table, 0).read_text()
    column = r'{\"name\":\"event_id\",\"type\":\"string\",\"nullable\":false,\"metadata\":{}},'
    assert column in body
    commit(table, 0).write_text(body.replace(column, ""))
    for file in (*table.glob("_delta_log/*.parquet"), table / "_delta_log" / "_last_checkpoint"):
        file.unlink()


def forget_commits(table: Path) -> None:
    """As a clean-up up to the checkpoint does, which is then torn."""
    commit(table, 0).unlink()
    checkpoint(table).write_bytes(b"PAR1")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "torn commit": lambda table: commit(table, 2).write_bytes(commit(table, 2).read_bytes()[:-40]),
    "empty commit": lambda table: commit(table, 2).write_bytes(b""),
    "zeroed commit": lambda table: commit(table, 2).write_bytes(b"\0" * 300),
    "commit of another shape": lambda table: commit(table, 2).write_bytes(b'{"commitInfo": {"alluvium": 7}}\n'),
    "foreign commit": write_foreign_commit,
    "missing commit": lambda table: commit(table, 2).rename(commit(table, 3)),
    "absurd commit": lambda table: (commit(table, 2).write_bytes(b""), commit(table, 10**19).write_bytes(b"")),
    "torn checkpoint without commits": forget_commits,
    "foreign table": foreign,
    "table of other columns": without_a_column,
    "missing data file": lambda table: max(table.glob("shard=h/*"), key=lambda file: file.stat().st_mtime_ns).unlink(),
    "empty data file": lambda table: max(table.glob("shard=h/*"), key=lambda file: file.stat().st_mtime_ns).write_bytes(b""),
    "garbage for a data file": lambda table: max(table.glob("shard=h/*"), key=lambda file: file.stat().st_mtime_ns).write_bytes(b"x" * 999),
    "another Parquet file": lambda table: pl.DataFrame({"a": [1]}).write_parquet(
        max(table.glob("shard=h/*"), key=lambda file: file.stat().st_mtime_ns)
    ),
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest, table: Path) -> str:
    DAMAGES[request.param](table)
    return str(request.param)


def test_reading_goes_on_and_the_observer_is_told(opened: Open, seen: Seen, damage: str) -> None:
    snapshots = opened()
    found = versions(snapshots.newest("Account", "a-1"))
    assert found in ([], [1], [3, 1] if damage == "foreign commit" else [])
    assert len(snapshots.newest_many("Account")) <= 2
    assert seen.failures() != []


def test_a_query_goes_on_with_what_can_be_read(table: Path, damage: str) -> None:
    with open_store(str(table.parent), create=True) as warehouse:
        warehouse.append("a-1", [Event("Any", {}) for _ in range(30)])
        found = warehouse.sql("select stream_id, version from snapshots").fetchall()
        assert set(found) <= {("a-1", 1), ("b-1", 2), ("a-1", 3)}
        assert warehouse.sql("select 'snapshots', count(*) from events").fetchall() == [("snapshots", 30)]
        warehouse.snapshots.save([snap(1, "c-1")])
        assert warehouse.sql("select count(*) from snapshots where stream_id = 'c-1'").fetchall() == [(1,)]


def test_the_next_save_mends_it(opened: Open, damage: str, table: Path) -> None:
    snapshots = opened()
    snapshots.newest("Account", "a-1")
    snapshots.save([snap(4), snap(4, "c-1")])
    assert versions(snapshots.newest("Account", "a-1"))[0] == 4
    fresh = opened()
    assert versions(fresh.newest("Account", "a-1"))[0] == 4
    assert versions(fresh.newest("Account", "c-1")) == [4]
    assert pl.read_delta(str(table)).filter(stream_id="c-1")["version"].to_list() == [4]
    assert DeltaTable(str(table)).version() == fresh._table.writable().version


def test_a_save_without_a_look_before_mends_it_too(opened: Open, damage: str) -> None:
    opened().save([snap(4)])
    fresh = opened()
    assert fresh.newest("Account", "a-1")[0].version == 4
    fresh.compact()
    assert opened().newest("Account", "a-1")[0].version == 4


def test_maintenance_mends_it(opened: Open, damage: str, seen: Seen) -> None:
    opened().maintain()
    seen.clear()
    opened().newest_many("Account")
    assert seen.failures() == []


@pytest.mark.parametrize("behind", [0, 1, 2])
@pytest.mark.parametrize("name", ["torn commit", "missing commit"])
def test_a_process_that_knew_the_table_before_goes_on(opened: Open, table: Path, name: str, behind: int) -> None:
    """To whatever commit: it finds the table that began anew at once, and nothing that it does is lost below."""
    savers = [opened() for _ in range(2)]
    saved = [commit(table, number) for number in range(3 - behind, 3)]
    for path in saved:
        path.rename(path.with_suffix(".later"))
    for saver in savers:
        saver.newest("Account", "a-1")
    for path in saved:
        path.with_suffix(".later").rename(path)
    DAMAGES[name](table)
    opened().save([snap(4), snap(4, "b-1")])
    savers[0].save([snap(5)])
    assert savers[1].forget("Account", ["b-1"]) == 1
    for handle in (*savers, opened()):
        assert versions(handle.newest("Account", "a-1")) == [5, 4]
        assert handle.newest("Account", "b-1") == []


@pytest.mark.parametrize("name", ["torn commit", "foreign table", "garbage for a data file", "torn checkpoint without commits"])
def test_nothing_is_destroyed(opened: Open, table: Path, name: str) -> None:
    DAMAGES[name](table)
    before = {file.read_bytes() for file in table.rglob("*") if file.is_file() and file.parent.name not in ("_turn",)}
    snapshots = opened()
    snapshots.newest("Account", "a-1")
    snapshots.save([snap(4)])
    snapshots.maintain()
    after = {file.read_bytes() for file in table.rglob("*") if file.is_file()}
    assert {body for body in before if b'"version":' not in body[:12]} <= after


def test_garbage_is_told_once_not_at_every_call(opened: Open, seen: Seen, table: Path) -> None:
    DAMAGES["garbage for a data file"](table)
    snapshots = opened()
    for _ in range(5):
        assert versions(snapshots.newest("Account", "a-1")) == [1]
    assert len(seen.failures()) == 1


@pytest.mark.parametrize("files", ["shard=h/*", "_delta_log/*.json", "_delta_log/*.parquet", "_delta_log/_last_checkpoint"])
def test_whatever_byte_is_wrong_a_load_gets_the_truth_or_nothing(opened: Open, table: Path, files: str) -> None:
    """And the next save mends it. Of the JSON a wrong byte may name another file, or say other statistics: then rows are missing."""
    rng, truth = random.Random(7), opened().newest("Account", "a-1")
    spare = table.with_name("spare")
    shutil.copytree(table, spare)
    for _ in range(60):
        victim = rng.choice(sorted(table.glob(files)))
        body = bytearray(victim.read_bytes())
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        victim.write_bytes(body)
        snapshots = opened()
        assert set(snapshots.newest("Account", "a-1")) <= set(truth)
        assert len(snapshots.newest_many("Account")) <= 2
        snapshots.save([snap(9)])
        assert opened().newest("Account", "a-1")[0] == snap(9)
        shutil.rmtree(table)
        shutil.copytree(spare, table)


@pytest.mark.parametrize("body", [b"", b"PAR1", b"garbage" * 50])
def test_torn_checkpoint_with_its_commits_costs_nothing(opened: Open, table: Path, seen: Seen, body: bytes) -> None:
    checkpoint(table).write_bytes(body)
    assert versions(opened().newest("Account", "a-1")) == [3, 1]
    assert seen.failures() == []


def test_a_table_of_a_newer_format_is_left_alone(opened: Open, table: Path, seen: Seen) -> None:
    """The processes that were updated read and write it; one that was not goes on without."""
    for file in (table / "_delta_log").glob("*checkpoint*"):
        file.unlink()
    commit(table, 0).write_bytes(commit(table, 0).read_bytes().replace(b'"alluvium.format":"1"', b'"alluvium.format":"2"'))
    before = {file: file.read_bytes() for file in table.rglob("*") if file.is_file()}
    snapshots = opened()
    assert snapshots.newest("Account", "a-1") == []
    snapshots.save([snap(9)])
    with pytest.raises(NewerTableError, match="update this process"):
        snapshots.forget("Account")
    with pytest.raises(NewerTableError):
        snapshots.maintain()
    assert len(seen.failures()) == 2
    assert {file: file.read_bytes() for file in before} == before
    assert set(before) == {file for file in table.rglob("*") if file.is_file()}


def test_reading_makes_no_table(tmp_path: Path, seen: Seen) -> None:
    snapshots = DeltaSnapshots(LocalObjects(tmp_path / "none"), seen, fresh_s=0.0)
    assert snapshots.newest("Account", "a-1") == []
    assert snapshots.forget() == 0
    snapshots.maintain()
    assert not (tmp_path / "none" / "_delta_log").exists()
    assert seen.failures() == []
