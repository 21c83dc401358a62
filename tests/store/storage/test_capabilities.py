"""Three capabilities by storage credentials, under the very policies that docs/access.md shows: what each can do works, all else is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from store import (
    AccessDeniedError,
    Aggregate,
    Erasure,
    Event,
    EventStore,
    Failed,
    KeyedTable,
    KeyTable,
    Measurement,
    Query,
    SnapshotPolicy,
    StoreError,
    WrongExpectedVersionError,
    check_access,
    load,
    open_logs,
    open_store,
    reapply,
    snapshot,
    verify,
)
from store.deeds import deeds
from store.delta import log_cleanup, upkeep
from store.storage.places import objects_at
from store.tables.publishing import commit_id_of, log_path
from tests.store.facts import facts, table
from tests.store.storage.iam import CAPABILITIES, Bucket, Document, document
from tests.store.storage.proxy import Proxy


class Measurements(list[Measurement]):
    record = list.append

    def failed(self) -> list[Failed]:
        return [one for one in self if isinstance(one, Failed)]


@pytest.fixture
def bucket(proxy: Proxy, s3_bucket: str, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Of ten events."""
    bucket = Bucket.of(proxy, s3_bucket, s3_warehouse, monkeypatch)
    with open_store(s3_warehouse, create=True) as store:
        store.append("a", facts(6))
        store.append("b", facts(4))
    return bucket


counter = Aggregate(category="count", initial=0, evolve=lambda state, event: state + 1, snapshots=SnapshotPolicy())
WRITES: dict[str, Callable[[Any], object]] = {
    "append": lambda store: store.append("a", facts(1)),
    "append_table": lambda store: store.append_table(table(10)),
    "checkpoint": lambda store: store.checkpoint(),
    "compact": lambda store: store.compact(),
    "snapshot": lambda store: snapshot(store, counter, "1"),
}


# Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_capability_reads(bucket: Bucket, capability: str) -> None:
    with bucket.open(capability) as store:
        assert store.head() == 10
        assert store.read_stream("a")["version"].to_pylist() == [1, 2, 3, 4, 5, 6]
        assert sum(len(batch) for batch in store.read_all()) == 10
        assert store.sql("select count(*) from events").fetchall() == [(10,)]
        assert store.ask("select count(*) as n from stream('b')").to_pylist() == [{"n": 4}]
        assert store.snapshots.newest("count", "a") == []
        assert next(iter(store.subscribe(after=3)))["position"].to_pylist()[0] == 4
    assert bucket.enforcer.refused(capability) == []


def test_a_reader_sees_what_others_append_merge_and_checkpoint(bucket: Bucket) -> None:
    with bucket.open("read-only") as reader, bucket.open("maintenance") as keeper:
        keeper.append("a", facts(1))
        keeper.maintain()                          # type: ignore[attr-defined]
        assert reader.head() == 11
        assert len(reader.read_stream("a")) == 7
    assert bucket.enforcer.refused("read-only") == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_reader_writes_nothing_and_is_told_why(bucket: Bucket, write: Callable[[Any], object]) -> None:
    with bucket.open("owner") as store:
        store.append("count-1", facts(1))
    with bucket.open("read-only") as store, pytest.raises(AccessDeniedError):
        write(store)
    assert {asked.action for asked in bucket.enforcer.refused("read-only")} == {"s3:PutObject"}
    with bucket.open("owner") as store:
        assert store.head() == 11
        assert store.snapshots.newest("count", "count-1") == []


def test_the_refusal_of_an_append_names_the_action_the_object_and_the_capability(bucket: Bucket) -> None:
    with bucket.open("read-only") as store:
        with pytest.raises(AccessDeniedError, match=r"refused to write .*/events/shard=h/.*append-only capability") as refused:
            store.append("a", facts(1))
        assert refused.value.capability == "append-only"
        assert (refused.value.stream_id or "a") == "a"
        assert store.head() == 10
    assert len(bucket.enforcer.refused("read-only")) == 2, "once as all do it, once as those do who may only create"


def test_no_reader_at_all_is_told_so_and_not_that_there_is_no_log(bucket: Bucket) -> None:
    bucket.become("nobody")
    with pytest.raises(AccessDeniedError, match="read-only capability") as refused:
        open_store(bucket.uri)
    assert refused.value.action == "read"


def test_who_may_not_list_is_told_what_that_means(bucket: Bucket, s3_bucket: str) -> None:
    [read] = [document("read-only", s3_bucket, bucket.uri.rpartition("/")[2])]
    bucket.enforcer.documents["half"] = [{"Statement": [one for one in read["Statement"] if one["Action"] == "s3:GetObject"]}]
    bucket.become("half")
    with pytest.raises(AccessDeniedError, match="s3:ListBucket"):
        open_store(bucket.uri)


# Appending --------------------------------------------------------------------------------------------------------


def test_who_may_only_create_appends(bucket: Bucket) -> None:
    with bucket.open("append-only") as store:
        store.append("a", facts(2), 6)
        store.append_table(table(3_000))
        with pytest.raises(WrongExpectedVersionError):
            store.append("a", facts(1), 6)
        assert store.head() == 3_012
    bucket.become("owner")
    assert verify(bucket.uri).findings == []


def test_a_large_file_is_sent_whole_by_who_may_only_create(bucket: Bucket) -> None:
    bucket.become("append-only")
    objects = objects_at(f"{bucket.uri}/events")
    body = bytes(6 << 20)
    objects.put("shard=h/large.parquet", body)
    objects.put("shard=h/large.parquet", body)     # its reply was lost, and it is repeated
    assert objects.get("shard=h/large.parquet") == body


@pytest.mark.parametrize("path", ["shard=h/there.parquet", "_delta_log/00000000000000000000.json"])
def test_who_may_only_create_neither_replaces_nor_removes(bucket: Bucket, path: str) -> None:
    bucket.become("owner")
    objects_at(f"{bucket.uri}/events").put("shard=h/there.parquet", b"before")
    before = objects_at(f"{bucket.uri}/events").get(path)
    bucket.become("append-only")
    objects = objects_at(f"{bucket.uri}/events")
    for attempt in (lambda: objects.put(path, b"after"), lambda: objects.replace(path, b"after"), lambda: objects.delete([path])):
        with pytest.raises(StoreError):
            attempt()
    assert not objects.put_if_absent(path, b"after")
    assert objects.get(path) == before


@pytest.mark.parametrize("path", ["projections/x/v1/a.parquet", "keys/a.parquet", "events/_heads/a.arrow", "events/_delta_log/_last_checkpoint"])
def test_who_may_only_append_writes_nowhere_else(bucket: Bucket, path: str) -> None:
    bucket.become("append-only")
    with pytest.raises(AccessDeniedError):
        objects_at(bucket.uri).put(path, b"x")


def test_the_files_of_lost_races_stay_and_that_is_said_once(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> None:
    seen = Measurements()
    with bucket.open("append-only", seen) as store, bucket.open("maintenance") as other:
        for number in range(3):
            other.append("b", facts(1))            # of which the first does not know
            _lose(store, number)
    removals = [failed for failed in seen.failed() if failed.work == "removal"]
    assert len(removals) == 1
    assert "left to the vacuum" in removals[0].error
    assert len([asked for asked in bucket.enforcer.refused("append-only") if asked.action == "s3:DeleteObject"]) == 1
    with bucket.open("maintenance") as keeper:
        assert keeper.head() == 16
        keeper.vacuum(retention_s=0)               # type: ignore[attr-defined]


def _lose(store: EventStore, number: int) -> None:
    """An append that is decided without a look at what others did before."""
    turns = store._objects                         # type: ignore[attr-defined]
    turn, turns.turn = turns.turn, _no_look
    try:
        store.append("a", facts(1))
    finally:
        turns.turn = turn
    assert number >= 0


class _NoLook:
    def __enter__(self) -> bool:
        return False

    def __exit__(self, *_: object) -> None: ...


def _no_look() -> _NoLook:
    return _NoLook()


def test_upkeep_leaves_itself_to_others_once_it_is_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 1)
    monkeypatch.setattr(upkeep, "CHECKPOINT_EVERY", 1)
    seen = Measurements()
    with bucket.open("append-only", seen) as store:
        for _ in range(4):
            store.append("a", facts(1))
        thread = store._upkeep._thread             # type: ignore[attr-defined]
        thread.join()                              # it ends by itself
        for _ in range(4):
            store.append("a", facts(1))
    assert [failed.work for failed in seen.failed()] == ["upkeep"]
    assert "upkeep=False" in seen.failed()[0].error


def test_without_upkeep_nothing_is_ever_refused(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 1)
    monkeypatch.setattr(upkeep, "CHECKPOINT_EVERY", 1)
    seen = Measurements()
    with bucket.open("append-only", seen, upkeep=False) as store:
        for _ in range(4):
            store.append("a", facts(1))
        assert store._upkeep._thread is None       # type: ignore[attr-defined]
    assert seen.failed() == []
    assert {asked.action for asked in bucket.enforcer.refused("append-only")} == {"s3:PutObject"}, "the first put, without its condition"


def test_who_may_only_append_saves_snapshots(bucket: Bucket) -> None:
    with bucket.open("append-only") as store:
        assert load(store, counter, "a").version == 0
        store.append("count-1", facts(3))
        snapshot(store, counter, "1")
        assert [one.version for one in store.snapshots.newest("count", "count-1")] == [3]


def test_appenders_beside_a_keeper_lose_nothing(bucket: Bucket) -> None:
    errors, acknowledged = list[BaseException](), list[str]()
    stores = [bucket.open("append-only", Measurements(), upkeep=False) for _ in range(2)]
    keeper = bucket.open("maintenance", Measurements())

    def write(store: EventStore, name: str) -> None:
        try:
            for _ in range(10):
                event = Event("Fact", {})
                store.append(name, [event])
                acknowledged.append(str(event.event_id))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(store, f"writer-{number}")) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        keeper.maintain()                          # type: ignore[attr-defined]
    for store in (*stores, keeper):
        store.close()
    assert errors == []
    bucket.become("owner")
    assert verify(bucket.uri).findings == []
    with open_store(bucket.uri) as store:
        assert set(acknowledged) <= {event_id for batch in store.read_all() for event_id in batch["event_id"].to_pylist()}
        assert store.head() == 30


BY = {"by": "me", "why": "a test"}
TAKES: dict[str, Callable[[EventStore], object]] = {
    "erase": lambda store: store.erase(Erasure(streams=["a"]), **BY),
    "reapply": lambda store: reapply(store, **BY),
    "keep": lambda store: store.retention.keep("a", max_count=1, **BY),
    "truncate": lambda store: store.retention.truncate("a", 3, **BY),
    "delete": lambda store: store.retention.delete("a", **BY),
    "tombstone": lambda store: store.retention.tombstone("b", **BY),
    "remove": lambda store: store.retention.remove(**BY),
}


def test_who_may_only_append_takes_nothing_away(bucket: Bucket) -> None:
    """Each such change is a commit, which they could make: it is refused before anything is recorded of it."""
    bucket.become("owner")
    with open_store(bucket.uri) as store:
        store.erase(Erasure(streams=["b"], query=Query(types=["nothing of it"])), **BY)
        store.retention.truncate("b", 2, **BY)
        store.erase(Erasure(streams=["b"]), **BY)
        before, head = list(deeds(store)), store.head()
    for take in TAKES.values():
        with bucket.open("append-only", upkeep=False) as store, pytest.raises(AccessDeniedError) as refused:
            take(store)
        assert (refused.value.action, refused.value.capability) == ("delete", "maintenance")
    with bucket.open("maintenance", upkeep=False) as store:
        assert (list(deeds(store)), store.head()) == (before, head)
        assert (store.retention.of("a").hidden, store.retention.of("b").hidden) == (0, 1)
        for take in TAKES.values():
            take(store)
        assert store.retention.of("a").hidden == 6
    assert bucket.enforcer.refused("maintenance") == []


def test_it_is_asked_once_whether_something_may_be_taken_away(bucket: Bucket) -> None:
    with bucket.open("maintenance", upkeep=False) as store:
        for number in range(1, 5):
            store.retention.truncate("a", number, **BY)
        store.retention.close("b", **BY)
    asked = [one for who, one, _ in bucket.enforcer.asked if who == "maintenance" and "access-check" in one.resource]
    assert len(asked) == 1


# Several logs -----------------------------------------------------------------------------------------------------


def test_several_logs_are_read_and_appended_to_by_who_may_no_more_than_that(bucket: Bucket) -> None:
    bucket.become("owner")
    with open_logs(bucket.uri) as logs:
        logs.split("h", 2)
        for number in range(8):
            logs.append(f"s-{number}", facts(1))
        assert logs.head() == 18
    with bucket.open("append-only", upkeep=False) as store:
        for number in range(8):
            store.append(f"s-{number}", facts(1))
        assert store.head() == 26
    with bucket.open("read-only") as store:
        assert store.stream_version("s-3") == 2
        assert sum(len(batch) for batch in store.read_all()) == store.head() <= 26
        for _ in range(3):
            store.head()
    refused = bucket.enforcer.refused("read-only")
    assert len(refused) <= 2, "a log is asked once whether it may be told the time"


def test_a_bucket_policy_keeps_writers_from_replacing_whatever_their_role_says(bucket: Bucket, s3_bucket: str) -> None:
    warehouse = bucket.uri.rpartition("/")[2]
    bucket.enforcer.documents["writer"] = [document("maintenance", s3_bucket, warehouse), document("bucket-policy", s3_bucket, warehouse)]
    with bucket.open("writer", upkeep=False) as store:
        store.append("a", facts(1))
        with pytest.raises(AccessDeniedError):
            store.checkpoint()                     # type: ignore[attr-defined]
    objects = objects_at(f"{bucket.uri}/events")
    with pytest.raises(AccessDeniedError):
        objects.delete(["_delta_log/00000000000000000000.json"])
    assert (check_access(bucket.uri)[0].capability, check_access(bucket.uri)[0].replaces) == ("append-only", False)


def test_keys_are_for_who_was_given_their_policy(bucket: Bucket, s3_bucket: str) -> None:
    """As a table of rows by key beside the log."""
    columns = pa.schema({"ref": pa.string(), "key": pa.string()})

    def keys() -> KeyedTable:
        return KeyedTable(f"{bucket.uri}/keys", "keys", columns, ("ref",))

    def documents(*names: str) -> list[Document]:
        return [document(name, s3_bucket, bucket.uri.rpartition("/")[2]) for name in names]

    bucket.enforcer.documents |= {"maker": documents("append-only", "append-keys"), "opener": documents("read-only", "read-keys")}
    bucket.become("maker")
    for number in range(3):
        keys().turn().commit(pa.table({"ref": [f"r-{number}"], "key": ["k"]}, schema=columns), columns.empty_table(), {"keys": number})
    bucket.become("opener")
    assert keys().rows()["ref"].to_pylist() == ["r-0", "r-1", "r-2"]
    for capability in ("read-only", "append-only"):
        bucket.become(capability)
        with pytest.raises(AccessDeniedError):
            keys().rows()


def test_who_may_only_make_keys_deletes_none(bucket: Bucket, s3_bucket: str) -> None:
    """It is refused before anything is said of it: the keys would be gone from the newest state, and their bytes would not."""
    warehouse = bucket.uri.rpartition("/")[2]
    bucket.enforcer.documents["maker"] = [document(name, s3_bucket, warehouse) for name in ("append-only", "append-keys")]
    bucket.become("maker")
    keys = KeyTable(bucket.uri)
    ada = keys.newest(["ada"])["ada"]
    for refuse in (lambda: keys.delete("ada"), keys.rewrap):
        with pytest.raises(AccessDeniedError, match="maintenance capability"):
            refuse()
    assert keys.find([ada.id]) == {ada.id: ada}


def test_a_commit_that_nobody_will_read_stays_where_it_may_not_be_removed(bucket: Bucket) -> None:
    with bucket.open("append-only", upkeep=False) as store:
        store.append("a", facts(1))
        log = store._log                           # type: ignore[attr-defined]
        body = objects_at(f"{bucket.uri}/events").get(log_path(log.version))
        log.withdraw(log.version, commit_id_of(body or b""))
        assert store.head() == 11
    assert [asked.action for asked in bucket.enforcer.refused("append-only")][-1] == "s3:DeleteObject"


# What is needed ---------------------------------------------------------------------------------------------------

READS = {
    ("s3:ListBucket", ""),
    ("s3:GetObject", "events/_delta_log/*.json"),
    ("s3:GetObject", "events/_delta_log/*"),       # the hint that names the newest checkpoint
    ("s3:GetObject", "events/_delta_log/*.checkpoint.parquet"),
    ("s3:GetObject", "events/_heads/*.arrow"),
    ("s3:GetObject", "events/shard=*/*.parquet"),
    ("s3:GetObject", "snapshots/_delta_log/*"),
    ("s3:GetObject", "snapshots/_delta_log/*.json"),
}
CREATES = {
    ("s3:PutObject", "events/_delta_log/*.json"),
    ("s3:PutObject", "events/shard=*/*.parquet"),
    ("s3:PutObject", "snapshots/_delta_log/*.json"),
    ("s3:PutObject", "snapshots/shard=*/*.parquet"),
}
KEEPS = {
    ("s3:PutObject", "events/_delta_log/*"),
    ("s3:PutObject", "events/_delta_log/*.checkpoint.parquet"),
    ("s3:PutObject", "events/_heads/*.arrow"),
    ("s3:DeleteObject", "events/_delta_log/*.json"),
    ("s3:DeleteObject", "events/shard=*/*.parquet"),
    ("s3:DeleteObject", "events/_heads/*.arrow"),
}


def _read(store: EventStore) -> None:
    list(store.read_all())
    store.read_stream("a")
    store.sql("select count(*) from events, snapshots").fetchall()
    load(store, counter, "1")


def _append(store: EventStore) -> None:
    _read(store)
    store.append("count-1", facts(3))
    snapshot(store, counter, "1")


def _keep(store: Any) -> None:
    _append(store)
    store.compact()
    store.checkpoint()
    store.append("a", facts(1))
    store.checkpoint()
    store.vacuum(retention_s=0)
    _read(store)


def test_what_each_capability_asks_of_s3_is_what_its_policy_is_for(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of docs/access.md, by measurement."""
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)
    with bucket.open("maintenance", upkeep=False) as store:
        _keep(store)
        store.clean_log(0.0)                       # type: ignore[attr-defined]
    with bucket.open("read-only") as store:
        _read(store)
    with bucket.open("append-only", upkeep=False) as store:
        _append(store)
    used = {capability: bucket.enforcer.used(capability) for capability in ("read-only", "append-only", "maintenance")}
    assert used["read-only"] <= READS | {("s3:GetObject", "snapshots/shard=*/*.parquet")}
    assert used["append-only"] - used["read-only"] <= CREATES | READS | {("s3:GetObject", "snapshots/shard=*/*.parquet")}
    assert used["append-only"] >= CREATES
    assert used["maintenance"] >= KEEPS | CREATES
    assert bucket.enforcer.refused("maintenance") == bucket.enforcer.refused("read-only") == []


# Asked after ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "told", "can"),
    [
        ("read-only", "read-only", (True, True, False, False, False)), ("append-only", "append-only", (True, True, True, False, False)),
        ("projecting", "read-only", (True, True, False, False, False)), ("maintenance", "maintenance", (True,) * 5),
        ("nobody", "none", (False, False, None, None, False)),
    ],
)  # fmt: skip
def test_a_check_tells_which_capability_it_is_and_changes_nothing(bucket: Bucket, capability: str, told: str, can: tuple[bool | None, ...]) -> None:
    bucket.become("owner")
    before = {entry.path: objects_at(bucket.uri).get(entry.path) for entry in objects_at(bucket.uri).list("")}
    bucket.become(capability)
    events = check_access(bucket.uri)[0]
    assert (events.place, events.capability, events[1:]) == ("events", told, can)
    bucket.become("owner")
    assert {entry.path: objects_at(bucket.uri).get(entry.path) for entry in objects_at(bucket.uri).list("")} == before


def test_a_check_tells_who_may_replace_besides(bucket: Bucket, s3_bucket: str) -> None:
    """As where the policy lacks its condition."""
    document_ = json.loads(json.dumps(document("append-only", s3_bucket, bucket.uri.rpartition("/")[2])))
    for statement in document_["Statement"]:
        statement.pop("Condition", None)
    bucket.enforcer.documents["loose"] = [document_]
    bucket.become("loose")
    events = check_access(bucket.uri)[0]
    assert (events.capability, events.replaces, events.removes) == ("append-only", True, False)
