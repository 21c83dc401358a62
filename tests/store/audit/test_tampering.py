"""Whatever is changed behind the store's back is found, also by one who makes statistics, digests and commits fit; what the store does is not."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import Erasure, Event, Logs, TableRefusedError, backup, open_logs, open_store, restore, verify
from store.audit.checking import Proof
from store.audit.head import PublishedHead
from store.delta.part import encoded
from tests.store.audit.erasing import erase, erase_secretly
from tests.store.audit.outsider import outsiders_problems
from tests.store.delta.verifying.damage import HOUR_S, aged, commit, data_file, edit_commit, live, newest, relink, rewrite, swapped, with_values
from tests.store.facts import facts

EVENTS = 2_100


def fill(warehouse: Path, commits: int = 3) -> PublishedHead:
    """700 events a commit, over 20 streams, attested."""
    with open_store(warehouse, create=True) as store:
        for number in range(commits):
            rows = range(700 * number, 700 * number + 700)
            streams = [f"s-{row % 20}" for row in rows]
            store.append_table(pa.table({"stream_id": streams, "type": ["T"] * 700, "data": [f'{{"n":{row}}}' for row in rows]}))
    return attest(warehouse)


def attest(warehouse: Path) -> PublishedHead:
    with open_store(warehouse) as store:
        [head] = store.audit.attest(by="ada", why="every day")
        return head


def check(warehouse: Path, *heads: PublishedHead) -> Proof:
    with open_store(warehouse) as store:
        [proof] = store.audit.check(*heads)
        return proof


def problems(warehouse: Path, *heads: PublishedHead) -> list[str]:
    """An outsider finds as much as we do, by the head that is newest if none was published."""
    proof = check(warehouse, *heads)
    with open_store(warehouse) as store:
        known = heads or tuple(() if any("it is no link" in str(one) or "digests of" in str(one) for one in proof.findings) else store.audit.heads())
    found = [outsiders_problems(str(head), str(warehouse / "events")) for head in known]
    assert any(found) == (not proof.sound) or not known, (found, proof.findings)
    return [str(finding) for finding in proof.findings]


@pytest.fixture(params=[False, True])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> PublishedHead:
    """Of landing files, or of a compacted one."""
    head = fill(tmp_path)
    if request.param:
        with open_store(tmp_path) as store:
            store.compact()
    return head


def forge(warehouse: Path, change: Callable[[pa.Table], pa.Table], position: int = 1) -> None:
    """Put other rows into the file that holds a position, and make all that the log says of it fit: statistics, size, digest, chain of commits."""
    segment = next(segment for segment in live(warehouse) if segment.first <= position <= segment.last)
    path = data_file(warehouse, segment)
    events = change(pq.read_table(pa.BufferReader(path.read_bytes())))
    forged, body = encoded(events, segment.shard, segment.run)
    path.write_bytes(body)

    def fit(action: dict[str, dict[str, object]]) -> None:
        if (add := action.get("add")) and str(add["path"]).replace("%3D", "=") == segment.path:
            add.update(size=forged.size_bytes, stats=forged.stats, tags={"alluvium.sha256": forged.sha256})

    for version in range(newest(warehouse) + 1):
        edit_commit(warehouse, version, fit)
    assert verify(str(warehouse)).sound


# What somebody may do who can write to the storage --------------------------------------------------------------


def test_a_changed_payload_is_found(published: PublishedHead, tmp_path: Path) -> None:
    forge(tmp_path, lambda events: with_values(events, "data", {1: '{"n":9}'}))
    assert problems(tmp_path) == ["damage: positions 1 to 1,024: what the events say is not what was attested; restore it from a backup"]


def test_a_changed_tag_is_found(published: PublishedHead, tmp_path: Path) -> None:
    forge(tmp_path, lambda events: with_values(events, "tags", {1: ["paid"]}), position=2_100)
    assert [problem.split(": ")[2] for problem in problems(tmp_path)] == ["what the events say is not what was attested; restore it from a backup"]


@pytest.mark.parametrize("column", ["event_id", "type", "occurred_at", "causation_id"])
def test_a_changed_identity_is_found(published: PublishedHead, tmp_path: Path, column: str) -> None:
    def change(events: pa.Table) -> pa.Table:
        values = {"event_id": str(uuid4()), "type": "U", "causation_id": "c", "occurred_at": datetime(2001, 1, 1, tzinfo=UTC)}
        return with_values(events, column, {5: values[column]})

    forge(tmp_path, change)
    assert problems(tmp_path)[0].startswith("damage: positions 1 to 1,024: the events are others than were attested")


def test_two_events_that_changed_places_are_found(published: PublishedHead, tmp_path: Path) -> None:
    """Of one stream: so nothing else of the log tells of it."""

    def swap(events: pa.Table) -> pa.Table:
        one, other = places(events)
        return swapped(swapped(events, "event_id", one, other), "data", one, other)

    forge(tmp_path, swap)
    assert problems(tmp_path)[0].startswith("damage: positions 1 to 1,024: the events are others than were attested, or stand in another order")


def places(events: pa.Table) -> tuple[int, int]:
    one, other, *_ = (row for row, name in enumerate(events["stream_id"].to_pylist()) if name == "s-3")
    return one, other


def test_the_same_events_in_a_file_that_was_written_anew_are_the_same(published: PublishedHead, tmp_path: Path) -> None:
    forge(tmp_path, lambda events: events)
    assert [problem for problem in problems(tmp_path, published) if "commit" not in problem] == []


def test_last_events_that_were_dropped_are_found_by_a_head(tmp_path: Path) -> None:
    """Whoever takes the last commits away, and the links in them, leaves a sound log: only what was published tells."""
    first = fill(tmp_path, 2)
    with open_store(tmp_path) as store:
        store.append("s-1", facts(3))
    second = attest(tmp_path)
    for version in (newest(tmp_path), newest(tmp_path) - 1):
        commit(tmp_path, version).unlink()
    assert problems(tmp_path) == problems(tmp_path, first) == []
    told = problems(tmp_path, second)
    assert ["no link of the log has its digest" in told[0], "the log ends at commit 3, and had commit 5" in told[1]] == [True, True]


def test_a_commit_that_was_rewritten_with_all_that_follow_is_found_by_a_head(tmp_path: Path) -> None:
    head = fill(tmp_path)
    edit_commit(tmp_path, 2, lambda action: action.get("commitInfo", {}).update(userName="nobody"))
    assert verify(str(tmp_path)).sound
    assert problems(tmp_path) == []
    assert [f"commit {newest(tmp_path)} is another one than was published" in problem for problem in problems(tmp_path, head)] == [True]


def test_a_log_in_place_of_another_is_found_by_a_head(tmp_path: Path) -> None:
    """Of the same shape, with the same id and links of its own that fit."""
    head = fill(tmp_path / "w")
    fill(tmp_path / "other")
    shutil.rmtree(tmp_path / "w")
    shutil.copytree(tmp_path / "other", tmp_path / "w")
    [other] = [action for line in commit(tmp_path / "w", 0).read_bytes().splitlines() if "metaData" in (action := orjson.loads(line))]
    body = commit(tmp_path / "w", 0).read_bytes().replace(other["metaData"]["id"].encode(), head.log.encode())
    commit(tmp_path / "w", 0).write_bytes(body)
    relink(tmp_path / "w")
    forge_link(tmp_path / "w", lambda said: said | {"log": head.log})
    assert (verify(str(tmp_path / "w")).sound, problems(tmp_path / "w")) == (True, [])
    assert "no link of the log has its digest" in problems(tmp_path / "w", head)[0]


def forge_link(warehouse: Path, change: Callable[[dict[str, object]], dict[str, object]]) -> None:
    last = live(warehouse)[-1]

    def forged(events: pa.Table) -> pa.Table:
        row = events["stream_id"].to_pylist().index("$chain")
        return with_values(events, "data", {row: orjson.dumps(change(orjson.loads(events["data"].to_pylist()[row]))).decode()})

    forge(warehouse, forged, last.last)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda said: said | {"previous": "0" * 64}, "it does not follow the link before it"),
        (lambda said: said | {"after": said["after"] - 1}, "it goes on after position"),
        (lambda said: said | {"payloads": said["payloads"][1:]}, "digests of"),
        (lambda said: said | {"identities": ["f"] * len(said["identities"])}, "is no SHA-256"),
        (lambda said: said | {"renewed": [{"first": 7, "last": 8, "payloads": "0" * 64, "erasures": []}]}, "which are no block"),
        (lambda said: {}, "it is no link"),
    ],
)
def test_a_link_that_was_changed_is_found(tmp_path: Path, change: Callable[[dict[str, object]], dict[str, object]], problem: str) -> None:
    fill(tmp_path, 2)
    with open_store(tmp_path) as store:
        store.append("s-1", facts(3))
    attest(tmp_path)
    forge_link(tmp_path, change)
    assert [problem in found for found in problems(tmp_path)][:1] == [True]
    with pytest.raises(TableRefusedError, match="the chain of this log is broken"):
        attest(tmp_path)


def test_a_link_in_which_a_digest_was_changed_is_found_by_a_head(tmp_path: Path) -> None:
    head = fill(tmp_path)
    forge(tmp_path, lambda events: with_values(events, "data", {0: '{"n":9}'}))
    with open_store(tmp_path) as store:
        store.audit.attest(by="eve", why="to hide it")
    one = hashlib.sha256(b"").hexdigest()
    forge_link(tmp_path, lambda said: said | {"payloads": [one, *said["payloads"][1:]]})  # type: ignore[misc]
    assert "no link of the log has its digest" in problems(tmp_path, head)[0]


# Erasures -------------------------------------------------------------------------------------------------------


def test_an_erasure_voids_the_proof_of_its_blocks_until_they_are_attested_anew(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append_table(pa.table({"stream_id": ["s-1"] * 1_024 + ["s-2"] * 1_000, "type": ["T"] * 2_024, "data": ["{}"] * 2_024}))
    head = attest(tmp_path)
    erasure = erase(str(tmp_path), "s-2")
    [void] = check(tmp_path, head).changes
    assert (void.first, void.last, void.erasures, void.since) == (1_025, 2_024, (erasure,), None)
    later = attest(tmp_path)
    proof = check(tmp_path, head, later)
    [change] = proof.changes
    assert (proof.sound, change.erasures, change.since) == (True, (erasure,), later.attested_at)
    again = erase(str(tmp_path), "s-1")
    assert [(change.first, change.erasures, change.since is None) for change in check(tmp_path, head, later).changes] == [
        (1, (again,), True), (1_025, (erasure,), False),
    ]
    last = attest(tmp_path)
    assert [change.since for change in check(tmp_path, head, later, last).changes] == [last.attested_at, later.attested_at]
    assert attest(tmp_path).position == last.position


@pytest.mark.parametrize("what", [{"fields": {"n": 0}}, {"tags": True}])
def test_an_erasure_that_leaves_no_husk_is_known_by_its_deed(tmp_path: Path, what: dict[str, object]) -> None:
    """Of single fields."""
    head = fill(tmp_path, 2)
    erasure = erase(str(tmp_path), "s-2", **what)
    [void] = check(tmp_path, head).changes
    assert (void.first, void.last, void.erasures, void.since) == (1, 1_400, (erasure,), None)
    later = attest(tmp_path)
    proof = check(tmp_path, head, later)
    assert (proof.sound, [(change.erasures, change.since) for change in proof.changes]) == (True, [((erasure,), later.attested_at)])
    forge(tmp_path, lambda events: with_values(events, "data", {1: '{"n":9}'}))
    assert any("what the events say is not what was attested" in problem for problem in problems(tmp_path, head))


def test_an_erasure_before_the_first_link_needs_no_other_one(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append("s-2", facts(9))
    erase(str(tmp_path), "s-2")
    head = attest(tmp_path)
    assert (check(tmp_path, head).changes, attest(tmp_path)) == ([], head)


def test_an_erasure_that_no_deed_tells_of_is_found_and_not_attested(published: PublishedHead, tmp_path: Path) -> None:
    erasure = erase_secretly(str(tmp_path), "s-2")
    assert f"events were erased by {erasure}, which no deed tells of" in problems(tmp_path, published)[0]
    attest(tmp_path)
    assert f"events were erased by {erasure}, which no deed tells of" in problems(tmp_path, published)[0]


def test_a_change_behind_an_erasure_is_found(tmp_path: Path) -> None:
    head = fill(tmp_path, 2)
    erase(str(tmp_path), "s-2")
    attest(tmp_path)
    forge(tmp_path, lambda events: with_values(events, "data", {0: '{"n":9}'}))
    assert "what the events say is not what was attested" in problems(tmp_path, head)[0]


def test_events_of_which_an_erasure_took_no_notice_are_looked_at_before_it(tmp_path: Path) -> None:
    fill(tmp_path)
    with open_store(tmp_path) as store:
        log = store.audit.heads()[0].log
        assert store.audit.findings_at(log, range(1, EVENTS + 2)) == []
    forge(tmp_path, lambda events: with_values(events, "data", {0: '{"n":9}'}))
    with open_store(tmp_path) as store:
        assert [found.where for found in store.audit.findings_at(log, [3, 2_000])] == ["positions 1 to 1,024"]
        assert store.audit.findings_at(log, [2_000, 99_999]) == []
    with open_store(tmp_path) as store:
        report = store.erase(Erasure(streams=["s-2"]), by="ada", why="asked for by letter")
        assert ["positions 1 to 1,024" in found for found in report.found] == [True]
        assert store.audit.findings_at(log, [3]) == []
        assert [deed.what["found"] for _, deed in store.audit.deeds() if deed.type == "ErasureBegan"] == [report.found]


# What the store does --------------------------------------------------------------------------------------------


def test_upkeep_is_not_taken_for_tampering(tmp_path: Path) -> None:
    heads = [fill(tmp_path)]
    for _ in range(2):
        with open_store(tmp_path) as store:
            store.append("s-1", facts(5))
            store.maintain()
        for path in (tmp_path / "events").rglob("*"):
            if path.is_file():
                aged(path, 2 * HOUR_S)
        with open_store(tmp_path) as store:
            store.clean_log()
            store.vacuum(0)
        heads.append(attest(tmp_path))
        assert problems(tmp_path, *heads) == []
    assert not commit(tmp_path, heads[0].commit.version).exists()


def test_a_restored_log_is_told_from_another(tmp_path: Path) -> None:
    warehouse, kept = tmp_path / "w", tmp_path / "kept"
    early = fill(warehouse, 2)
    with open_store(warehouse) as store:
        store.append("s-1", facts(3))
    late = attest(warehouse)
    backup(str(warehouse), str(kept))
    restore(str(kept), str(tmp_path / "all"), by="ada", why="a lost disk")
    restore(str(kept), str(tmp_path / "some"), until=1_402, by="ada", why="a bad import")
    proof = check(tmp_path / "all", early, late)
    assert proof.sound
    assert any("since then ada restored the log (a lost disk)" in str(finding) for finding in proof.findings)
    assert check(tmp_path / "some", early).sound
    assert not check(tmp_path / "some", early, late).sound


def test_a_split_warehouse_has_a_chain_for_each_log(tmp_path: Path) -> None:
    early = fill(tmp_path)
    with open_logs(tmp_path) as store:
        store.append("s-1", facts(3))              # attested by nobody before the log ends
        store.split("h", into=4, by="ada", why="it is full")
        for number in range(20):
            store.append(f"s-{number}", facts(2))
        heads = store.audit.attest(by="ada", why="every day")
        assert (len(heads), len({head.log for head in heads})) == (5, 5)
        assert next(head for head in heads if head.log == early.log).position == EVENTS + 4
        proofs = store.audit.check(early, *heads)
        tables = [str(tmp_path / "events"), *(str(log / "events") for log in (tmp_path / "logs").iterdir())]
        assert [outsiders_problems(str(head), *tables) for head in (early, *heads)] == [[]] * 6
        assert [(proof.sound, list(proof.findings)) for proof in proofs] == [(True, [])] * 5
        assert [deed.type for _, deed in store.audit.deeds()] == ["Split"]
        assert store.audit.attest(by="ada", why="every day") == heads


def test_a_payload_of_a_part_of_a_split_warehouse_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    with open_logs(tmp_path) as store:
        store.split("h", into=4)
        for number in range(20):
            store.append(f"s-{number}", [Event("T", {"n": number})])
        store.audit.attest(by="ada", why="every day")
    part = next(path for path in (tmp_path / "logs").iterdir() if path.name == log_of(tmp_path, "s-1"))
    [segment, *_] = live(part)
    rewrite(part, segment, lambda events: with_values(events, "data", {0: '{"n":99}'}))
    assert verify(str(tmp_path)).sound
    with open_store(tmp_path) as store:
        assert sorted(proof.sound for proof in store.audit.check()) == [False, True, True, True, True]


def log_of(warehouse: Path, stream_id: str) -> str:
    with open_logs(warehouse) as store:
        assert isinstance(store, Logs)
        return store.log_of(stream_id)
