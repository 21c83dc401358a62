"""What is its own to several logs: routing, what only one log can decide, places among all."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import deltalake
import duckdb
import polars as pl
import pyarrow as pa
import pytest

from store import (
    NO_STREAM,
    Aggregate,
    Append,
    Boundary,
    CrossLogError,
    InvalidEventError,
    Logs,
    Query,
    SnapshotPolicy,
    StoreClosedError,
    TableRefusedError,
    WrongExpectedVersionError,
    backup,
    live_log,
    load,
    load_all,
    load_as_of,
    load_at,
    open_logs,
    open_store,
    rebuild_snapshots,
    snapshot,
    transact,
    transact_many,
    transact_query,
)
from store.errors import LogSealedError
from tests.store.facts import at_once, everything, fact, facts, table

counter = Aggregate(category="a", initial=0, evolve=lambda state, event: state + 1, snapshots=SnapshotPolicy(keep=3))
STREAMS = [f"a-{number}" for number in range(12)]


def filled(store: Logs) -> None:
    """Twelve streams, over all logs, three events each."""
    for number in range(36):
        store.append(STREAMS[number % 12], [fact(number)])


def of_one_log(store: Logs) -> list[str]:
    return [stream for stream in STREAMS if store.log_of(stream) == store.log_of("a-0")]


def test_a_stream_is_in_the_log_of_its_hash(store: Logs) -> None:
    filled(store)
    by_log = {str(log.name): log.read_all().read_all()["stream_id"].to_pylist() for log in store.each()}
    assert by_log.pop("h") == []
    assert {stream: name for name, streams in by_log.items() for stream in streams} == {stream: store.log_of(stream) for stream in STREAMS}
    assert len(set(map(store.log_of, STREAMS))) == 4


def test_each_log_is_dense_and_all_together_are(store: Logs) -> None:
    filled(store)
    for log in store.each():
        assert [row["position"] for row in everything(log)] == list(range(1, log.head() + 1))
    assert [row["position"] for row in everything(store)] == list(range(1, 37))
    assert [row["data"] for row in everything(store)] == [f'{{"number":{number}}}' for number in range(36)]


def test_an_append_answers_with_the_place_in_its_log(store: Logs) -> None:
    filled(store)
    appended = store.append("a-0", [fact(), fact()], 3)
    (log,) = [log for log in store.each() if str(log.name) == store.log_of("a-0")]
    assert (appended.first_version, appended.version, appended.position) == (4, 5, log.head())


def test_a_place_among_all_is_where_it_is_read(store: Logs) -> None:
    filled(store)
    there = {(row["stream_id"], row["version"]): row["position"] for row in everything(store)}
    assert {key: store.place(*key) for key in there} == there


@pytest.mark.parametrize("version", [4, 99])
def test_there_is_no_place_of_an_event_that_is_not_there(store: Logs, version: int) -> None:
    filled(store)
    with pytest.raises(InvalidEventError, match="beyond stream 'a-0'"):
        store.place("a-0", version)


def test_a_position_stands_for_a_place_in_each_log(store: Logs) -> None:
    filled(store)
    for position in (0, 1, 17, 36):
        vector = store.vector(position)
        assert sum(vector.values()) == position
        read = {str(log.name): log.read_all(until=vector[str(log.name)]).read_all()["event_id"].to_pylist() for log in store.each()}
        expected = store.read_all(until=position).read_all()["event_id"].to_pylist()
        assert sorted(event_id for ids in read.values() for event_id in ids) == sorted(expected)


def test_appends_to_streams_of_one_log_are_one(store: Logs) -> None:
    first, second, *_ = of_one_log(store)
    store.append_many([Append(first, facts(2), NO_STREAM), Append(second, facts(1), NO_STREAM)])
    with pytest.raises(WrongExpectedVersionError):
        store.append_many([Append(first, facts(1), 2), Append(second, facts(1), NO_STREAM)])
    assert (store.stream_version(first), store.stream_version(second)) == (2, 1)


def test_an_append_to_streams_of_several_logs_is_refused(store: Logs) -> None:
    with pytest.raises(CrossLogError, match=r"an append to several streams concerns several logs .*in a saga") as refused:
        store.append_many([Append(stream, facts(1)) for stream in STREAMS])
    assert list(refused.value.logs) == store.logs()
    assert store.head() == 0


@pytest.mark.parametrize("condition", [{"fail_if": Query(types=["Happened"])}, {"after": 3}])
def test_a_condition_is_refused(store: Logs, condition: dict[str, Any]) -> None:
    with pytest.raises(CrossLogError, match=re.escape("a condition (fail_if) concerns several logs (h0-3, h4-7, h8-b, hc-f)")):
        store.append("a-0", facts(1), **condition)
    with pytest.raises(CrossLogError):
        asyncio.run(store.aio.append("a-0", facts(1), **condition))
    assert store.head() == 0


def test_decisions_over_several_logs_are_refused(store: Logs) -> None:
    with pytest.raises(CrossLogError):
        transact_many(store, [(counter, str(number)) for number in range(12)], lambda *states: [[fact()] for _ in states])
    with pytest.raises(CrossLogError):
        transact_query(store, Boundary(initial=0, evolve=lambda state, event: state + 1), Query(types=["Happened"]), lambda _: {"a-0": [fact()]})
    assert store.head() == 0


def test_a_table_of_several_logs_goes_in_by_its_parts(store: Logs) -> None:
    events = table(36, stream_id=STREAMS * 3, data=[f'{{"number":{number}}}' for number in range(36)])
    with pytest.raises(CrossLogError, match=r"append each of `parts\(table\)`"):
        store.append_table(events)
    assert store.head() == 0
    parts = store.parts(events)
    assert len(parts) == 4
    for part in parts:
        store.append_table(part)
    assert sorted(row["data"] for row in everything(store)) == sorted(events["data"].to_pylist())
    assert [store.stream_version(stream) for stream in STREAMS] == [3] * 12


def test_decisions_on_one_stream_are_as_ever(store: Logs) -> None:
    def book(_: int) -> None:
        transact(store, counter, "0", lambda state: [fact(state)])

    at_once(4, book)
    assert load(store, counter, "0").state == 4
    assert [row["data"] for row in store.read_stream("a-0").to_pylist()] == [f'{{"number":{number}}}' for number in range(4)]


def test_states_of_the_past_are_those_of_the_order_over_all(store: Logs) -> None:
    filled(store)
    rows = everything(store)
    for position in (0, 5, 12, 13, 30, 36):
        seen = sum(row["stream_id"] == "a-0" for row in rows[:position])
        assert (store.version_at("a-0", position), load_as_of(store, counter, "0", position).state) == (seen, seen)
    assert load_as_of(store, counter, "0", rows[20]["recorded_at"]).as_of == 21
    assert load_at(store, counter, "0", 2).state == 2


def test_snapshots_serve_whoever_took_them(store: Logs) -> None:
    filled(store)
    snapshot(store, counter, "0")
    store.append("a-0", facts(1))
    assert load(store, counter, "0").state == 4
    assert rebuild_snapshots(store, counter) == 12
    assert {loaded.stream_id: loaded.state for loaded in load_all(store, counter)} == dict.fromkeys(STREAMS, 3) | {"a-0": 4}
    with open_store(store.each()[0].uri.removesuffix("/events")) as again:
        assert {stream: load(again, counter, stream[2:]).state for stream in STREAMS} == dict.fromkeys(STREAMS, 3) | {"a-0": 4}
        assert again.sql("select stream_id, version from snapshots where stream_id = 'a-5'").fetchall() == [("a-5", 3)]


def test_the_last_position_by_a_time_is_that_of_all(store: Logs) -> None:
    filled(store)
    rows = everything(store)
    assert [store.position_at(row["recorded_at"]) for row in rows] == [row["position"] for row in rows]
    assert store.position_at(rows[0]["recorded_at"] - timedelta(microseconds=1)) == 0
    assert store.position_at(datetime.now(UTC) + timedelta(days=1)) == 36


def test_a_log_that_is_silent_holds_nobody_up_and_is_told_the_time_once(store: Logs) -> None:
    before = store.size().delta_version
    store.append("a-0", facts(1))
    assert [store.head(), store.head(), len(everything(store))] == [1, 1, 1]
    assert store.size().delta_version == before + 1 + 3


def test_who_may_not_tell_the_time_sees_what_others_have_passed(store: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(store)
    assert store.head() == 36
    monkeypatch.setattr("store.logs.tree._tick", lambda member, moment: None)
    store.append("a-0", facts(1))
    assert store.head() == 36
    for stream in STREAMS:
        store.append(stream, facts(1))
    assert store.head() >= 37


def test_upkeep_is_that_of_every_log(store: Logs) -> None:
    filled(store)
    rows = everything(store)
    assert sum(merge.files_before for merge in store.maintain(dry_run=True).compacted) == 36
    assert store.size().files == 36
    assert sum(merge.files_before for merge in store.compact()) == 36
    assert store.checkpoint().delta_version == store.size().delta_version
    assert store.clean_log().files == store.vacuum().files == 0
    assert store.vacuum(retention_s=0).files == 36
    assert store.size().files == 4
    assert everything(store) == rows


def test_every_log_is_a_delta_table_for_others(store: Logs) -> None:
    filled(store)
    for log in store.each()[1:]:
        uri, ids = log.uri, {row["event_id"] for row in everything(log)}
        assert set(deltalake.DeltaTable(uri).to_pyarrow_table()["event_id"].to_pylist()) == ids
        assert set(pl.read_delta(uri)["event_id"]) == ids
        files = deltalake.DeltaTable(uri).file_uris()
        assert {row[0] for row in duckdb.read_parquet(files).select("event_id").fetchall()} == ids


def test_sql_finds_the_same_places_as_reads(store: Logs) -> None:
    filled(store)
    rows = [(row["position"], row["event_id"]) for row in everything(store)]
    assert store.sql("select position, event_id from events order by position").fetchall() == rows
    assert store.sql("select position, event_id from replay(after := 4, until := 20)").fetchall() == rows[4:20]
    assert store.sql("select count(*) from events", as_of=17).fetchall() == [(17,)]


def test_a_warehouse_that_was_split_is_opened_as_what_it_is(store: Logs, tmp_path: Path) -> None:
    filled(store)
    with open_store(tmp_path / "warehouse") as again, open_logs(tmp_path / "warehouse") as once_more:
        assert isinstance(again, Logs)
        assert everything(again) == everything(once_more) == everything(store)


def test_a_log_that_is_missing_is_not_begun_anew(store: Logs, tmp_path: Path) -> None:
    filled(store)
    place = tmp_path / "warehouse" / "logs" / store.log_of("a-0")
    place.rename(tmp_path / "elsewhere")
    with pytest.raises(Exception, match=r"the log h[0-9a-f-]+ of this warehouse is missing.*backup"), open_store(tmp_path / "warehouse") as again:
        again.head()
    assert not place.exists()


def test_a_closed_store_says_so(store: Logs) -> None:
    store.close()
    for ask in (store.head, store.logs, lambda: store.append("a-0", facts(1)), lambda: store.read_stream("a-0"), lambda: store.snapshots):
        with pytest.raises(StoreClosedError):
            ask()


def test_only_a_log_that_takes_events_is_split(store: Logs) -> None:
    with pytest.raises(InvalidEventError, match="log 'h' takes no events: split one of h0-3, h4-7, h8-b, hc-f"):
        store.split("h")
    with pytest.raises(InvalidEventError, match="no name of a log"):
        store.split("everything")
    with pytest.raises(InvalidEventError, match="equal parts"):
        store.split("h0-3", 3)
    assert store.logs() == ["h0-3", "h4-7", "h8-b", "hc-f"]


def test_a_store_of_the_one_log_says_that_it_has_ended(tmp_path: Path) -> None:
    with open_store(tmp_path / "warehouse", create=True) as alone, open_logs(tmp_path / "warehouse") as logs:
        alone.append("a-0", facts(1))
        logs.split("h", 2)
        for ask in (lambda: alone.append("a-0", facts(1)), alone.head, lambda: alone.read_stream("a-0"), lambda: alone.sql("from events")):
            with pytest.raises(LogSealedError, match="h0-7, h8-f go on in its place: open the warehouse anew"):
                ask()
        assert logs.append("a-0", facts(1)).version == 2


def test_a_table_without_rows_has_no_parts(store: Logs) -> None:
    assert store.parts(table(0)) == []
    store.append_table(table(0))
    assert store.head() == 0


def test_a_table_is_checked_before_it_is_parted(store: Logs) -> None:
    with pytest.raises(InvalidEventError, match="lack the column stream_id"):
        store.parts(pa.table({"type": ["Happened"]}))


def test_what_follows_one_log_says_so(store: Logs, tmp_path: Path) -> None:
    filled(store)
    with pytest.raises(TableRefusedError, match=r"it has several logs \(h0-3, h4-7, h8-b, hc-f\), and views follow one"):
        live_log(str(tmp_path / "warehouse"))
    with pytest.raises(CrossLogError, match="a backup concerns several logs"):
        backup(str(tmp_path / "warehouse"), str(tmp_path / "backup"))


@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_a_forked_child_is_told_to_open_its_own(store: Logs) -> None:
    """Its threads are not there: it would wait for them for ever."""
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_look_in_child, args=(store, answers))
    child.start()
    child.join(30)
    assert "before a fork" in answers.get()
    assert store.append("a-0", facts(1)).version == 1


def _look_in_child(store: Logs, answers: Any) -> None:
    try:
        answers.put(str(store.head()))
    except StoreClosedError as error:
        answers.put(str(error))
    finally:
        store.close()
