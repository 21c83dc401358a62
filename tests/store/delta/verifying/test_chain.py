"""Every commit names the bytes of the one before it, and every file its own: what is changed later is found."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from store import Event, TableRefusedError, backup, open_store, repair, verify
from store.delta.verifying.chain_check import check_chain
from tests.store.delta.verifying.damage import aged, commit, data_file, edit_commit, fill, live, newest, objects, rewrite, with_values
from tests.store.facts import facts


def previous(warehouse: Path, version: int) -> str | None:
    info: dict[str, Any] = orjson.loads(commit(warehouse, version).read_bytes().split(b"\n", 1)[0])["commitInfo"]
    return info.get("previous")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_linked(warehouse: Path, first: int = 1) -> None:
    there = range(first, newest(warehouse) + 1)
    assert [previous(warehouse, version) for version in there] == [digest(commit(warehouse, version - 1)) for version in there]


def problems(warehouse: Path) -> list[str]:
    return [str(finding) for finding in verify(str(warehouse)).damage]


def test_every_commit_names_the_one_before_it(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as one, open_store(tmp_path) as other:
        for store in (one, other, other, one):
            store.append("a", facts(2))
        one.maintain()
        other.append("a", facts(1))
    assert newest(tmp_path) > 6
    assert_linked(tmp_path)
    assert verify(str(tmp_path)).sound


def test_the_chain_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    fill(tmp_path, 5, checkpoint=True)
    for version in range(5):
        aged(commit(tmp_path, version))
    with open_store(tmp_path) as store:
        assert store.clean_log().files == 5
    with open_store(tmp_path) as store:
        store.append("a", facts(1))
        assert_linked(tmp_path, newest(tmp_path))
    assert verify(str(tmp_path)).sound


def test_the_chain_goes_on_from_a_checkpoint_and_a_clean_up_of_deltalake(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    for version in range(5):
        aged(commit(tmp_path, version), 4 * 86_400)
    table = DeltaTable(tmp_path / "events")
    table.create_checkpoint()
    table.cleanup_metadata()
    with open_store(tmp_path) as store:
        store.append("a", facts(1))
    assert_linked(tmp_path, newest(tmp_path))
    assert {len(segment.sha256) for segment in live(tmp_path)} == {64}
    assert verify(str(tmp_path)).sound


def test_it_begins_in_a_log_of_older_software(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    for version in range(5):
        edit_commit(tmp_path, version, lambda action: action.get("commitInfo", {}).pop("previous", None))
        edit_commit(tmp_path, version, lambda action: action.get("add", {}).pop("tags", None))
    with open_store(tmp_path) as store:
        store.append("a", facts(2))
    assert [previous(tmp_path, version) is None for version in range(6)] == [True] * 5 + [False]
    assert verify(str(tmp_path)).sound


def test_a_changed_commit_is_found_and_not_mended(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    body = commit(tmp_path, 3).read_bytes()
    commit(tmp_path, 3).write_bytes(body.replace(b'"operationParameters":{"mode":"Append"}', b'"operationParameters":{"mode":"append"}'))
    assert [problem.startswith("damage: commit 4: it follows a commit 3 with the SHA-256") for problem in problems(tmp_path)] == [True]
    with pytest.raises(TableRefusedError, match=r"commit 4.*no crash does that"):
        repair(str(tmp_path))


def test_a_link_that_was_taken_out_is_found(tmp_path: Path) -> None:
    fill(tmp_path, 6)
    actions = [orjson.loads(line) for line in commit(tmp_path, 6).read_bytes().splitlines()]
    del actions[0]["commitInfo"]["previous"]
    commit(tmp_path, 6).write_bytes(b"\n".join(map(orjson.dumps, actions)))
    assert [problem.startswith("damage: commit 6: it does not say which commit it follows") for problem in problems(tmp_path)] == [True]


def test_a_commit_that_a_clean_up_takes_meanwhile_is_no_break(tmp_path: Path) -> None:
    fill(tmp_path, 20)
    listed = list(objects(tmp_path).list("_delta_log"))
    for version in (0, 7, 15, 16):
        commit(tmp_path, version).unlink()

    class Late:
        def __getattr__(self, name: str) -> Any:
            return (lambda prefix: listed) if name == "list" else getattr(objects(tmp_path), name)

    assert check_chain(Late()) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("merged", [False, True])
def test_a_file_that_was_forged_whole_is_found(tmp_path: Path, merged: bool) -> None:
    """With the statistics, the size and the bytes of a sound file: only its digest tells."""
    fill(tmp_path, 12, compact=merged)
    segment = live(tmp_path)[0]
    log = {path: path.read_bytes() for path in (tmp_path / "events" / "_delta_log").iterdir()}
    rewrite(tmp_path, segment, lambda events: with_values(events, "data", {0: '{"number":9}'}))
    for path, body in log.items():
        path.write_bytes(body)
    body = data_file(tmp_path, segment).read_bytes()
    data_file(tmp_path, segment).write_bytes(body[: segment.size_bytes] + bytes(max(0, segment.size_bytes - len(body))))
    assert any("its bytes are others than the log says" in problem for problem in problems(tmp_path))


def test_a_backup_keeps_the_digests_and_takes_no_other_bytes(tmp_path: Path) -> None:
    fill(tmp_path / "w", 4)
    backup(str(tmp_path / "w"), str(tmp_path / "b"))
    assert [segment.sha256 for segment in live(tmp_path / "b")] == [digest(data_file(tmp_path / "b", segment)) for segment in live(tmp_path / "b")]
    assert_linked(tmp_path / "b")
    with open_store(tmp_path / "w") as store:
        store.append("a", [Event("Happened", {"number": 5})])
    path = data_file(tmp_path / "w", live(tmp_path / "w")[-1])
    path.write_bytes(path.read_bytes().replace(b'{"number":5}', b'{"number":6}'))
    with pytest.raises(TableRefusedError, match="holds other bytes than the log says"):
        backup(str(tmp_path / "w"), str(tmp_path / "b"))


def test_large_appends_and_merges_say_the_digest_of_each_file(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        rows = 60_000
        store.append_table(pa.table({"stream_id": [f"s-{n % 99}" for n in range(rows)], "type": ["T"] * rows, "data": ["{}"] * rows}))
        store.append("a", facts(1))
        before = live(tmp_path)
        store.compact()
    for segment in (*before, *live(tmp_path)):
        assert segment.sha256 == digest(data_file(tmp_path, segment))
    assert os.path.exists(data_file(tmp_path, before[0]))
