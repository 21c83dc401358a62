"""The published database answers as `store.sql` does, in the hands of others, whatever happens to the tables meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from projections import (
    DeadLetters,
    Park,
    Projection,
    PublishError,
    ServingModel,
    Sql,
    WarehouseSql,
    catch_up,
    fill,
    publish_sql,
    rebuild,
    streams,
)
from store import Event, Snapshot, TableRefusedError, correlated, open_store
from store.delta.delta_store import DeltaEventStore
from tests.projections.duckdb_cli import answers, as_json


def summing(name: str = "totals", version: int = 1) -> Projection:
    columns = pa.schema({"stream_id": pa.string(), "total": pa.int64(), "at": pa.timestamp("us", tz="UTC")})
    form = Sql(
        f"select stream_id, {version} * (data ->> 'n')::bigint as total, recorded_at as at, position from events", {"total": "sum", "at": "max"}
    )
    return Projection(name=name, version=version, key=("stream_id",), columns=columns, form=form)


QUESTIONS = [
    "from events", "from snapshots", "from dead_letters", "from totals", "from streams",
    "from stream('s-1')", "select * from history('s-1')", "from replay(2, 5)", "from replay(until := 3)", "from as_of(4)",
    "from as_of('2999-01-01T00:00:00Z')", "from category('s')", "select * from state('s')", "from of_type('Counted')", "from tagged('even')",
    "from conversation('talk')",
]  # fmt: skip
"""Every table and every macro."""


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "it's [a] place=1")


@pytest.fixture
def store(place: str) -> Iterator[DeltaEventStore]:
    """Events of two streams, snapshots, read models, and a dead letter."""
    with open_store(place, create=True) as store:
        with correlated("talk"):
            add(store, 6)
        save(store, 1)
        store.append("odd-1", [Event("Counted", {"n": "many"})])
        catch_up_all(store, place)
        yield store


def add(store: DeltaEventStore, count: int) -> None:
    for number in range(count):
        store.append(f"s-{number % 2}", [Event("Counted" if number % 3 else "Began", {"n": number}, tags=["even"][number % 2 :])])


def save(store: DeltaEventStore, version: int) -> None:
    event = store.read_stream("s-1").to_pylist()[version - 1]
    store.snapshots.save([Snapshot("s-1", "Sum", version, event["position"], event["event_id"], 1, 2, event["position"], '{"n":1}')])


def catch_up_all(store: DeltaEventStore, place: str, version: int = 1) -> None:
    catch_up(store, ServingModel(place, streams))
    catch_up(store, ServingModel(place, summing(version=version)), failing=Park(DeadLetters(place), attempts=1))


def age(place: str) -> None:
    """As if all log files but the newest had been written an hour ago."""
    for file in sorted(Path(place).rglob("_delta_log/0*"))[:-1]:
        os.utime(file, (file.stat().st_mtime - 3600,) * 2)


def check_answers(store: DeltaEventStore, place: str, version: int = 1) -> None:
    """Equal answers of the command line, of DuckDB as we have it, and of the store. The read models are caught up: the store would do that aside."""
    catch_up_all(store, place, version)
    asked = [as_json(question) for question in QUESTIONS]
    database = Path(place, "warehouse.duckdb")
    with WarehouseSql(store, place, [summing(version=version)]) as warehouse:
        expected = [[row for (row,) in warehouse.sql(query).fetchall()] for query in asked]
        expected.append(expected[0])
    located = "from located_events where position between first_position and last_position"
    asked.append(as_json(f"select * exclude (first_position, last_position) {located}"))
    with duckdb.connect(str(database), read_only=True) as newer:
        newer.execute("set TimeZone = 'UTC'")
        assert [[row for (row,) in newer.sql(query).fetchall()] for query in asked] == expected
    assert answers(database, asked) == expected
    assert all(expected)


def test_every_table_and_macro_answers_as_the_store_does_whatever_happens_to_the_files(store: DeltaEventStore, place: str) -> None:
    published = publish_sql(place, [summing()])
    assert published.path == Path(place, "warehouse.duckdb")
    assert published.left_out == {"event_types": "it was never made"}
    steps: list[Callable[[], object]] = [
        lambda: add(store, 4), store.compact, lambda: (add(store, 1), store.checkpoint(), add(store, 2), save(store, 2), save(store, 3)),
        lambda: (age(place), store.clean_log(), store.snapshots.maintain()),
        lambda: (store.vacuum(retention_s=0), ServingModel(place, summing()).now().maintain(), add(store, 2)),
    ]  # fmt: skip
    for step in steps:
        step()
        check_answers(store, place)
    logs = sorted(Path(place, "events/_delta_log").glob("*.json"))
    assert int(logs[0].stem) > 3, "the log was not cleaned"


def test_after_a_switch_the_views_are_those_of_the_build_that_serves(store: DeltaEventStore, place: str) -> None:
    publish_sql(place, [summing()])
    newer = summing(version=2)
    rebuild(store, place, newer, failing=Park(DeadLetters(place), attempts=1))
    database = Path(place, "warehouse.duckdb")
    assert answers(database, ["select sum(total) from totals"]) == [["15"]]
    publish_sql(place, [newer])
    assert answers(database, ["select sum(total) from totals", "select build from checkpoints where projection = 'totals'"]) == [["30"], ["v2"]]
    check_answers(store, place, version=2)


def test_files_that_were_replaced_are_not_opened_by_duckdb_1_5(store: DeltaEventStore, place: str) -> None:
    """2.0 opens them, and leaves their rows out."""
    database = publish_sql(place).path
    store.compact()
    add(store, 1)
    assert len(list(Path(place, "events").glob("shard=*/*"))) == 9
    [plan] = answers(database, ["explain (analyze, format json) select count(*) from events"])
    data, _, checkpoint = re.findall(r'"Total Files Read": "([0-9]+)"', "\n".join(plan))
    assert (data, checkpoint) == ("2", "1")


def test_queries_beside_a_writer_see_whole_states(store: DeltaEventStore, place: str) -> None:
    """Positions are dense: as many events as the last position says."""
    database = publish_sql(place).path
    stop, before = threading.Event(), store.head()

    def write() -> None:
        while not stop.is_set():
            add(store, 7)
            store.compact()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told = answers(database, ["select count(*), max(position) from events"] * 40)
    finally:
        stop.set()
        writer.join()
    seen = [tuple(map(int, row.split("|"))) for [row] in told]
    assert [(events, last) for events, last in seen if events != last] == []
    assert seen == sorted(seen)
    assert before < seen[-1][1] <= store.head()


def test_what_is_not_there_is_left_out_and_told(tmp_path: Path) -> None:
    place, older = str(tmp_path), summing("older")
    with open_store(place, create=True) as store:
        add(store, 1)
        fill(store, ServingModel(place, older))
    published = publish_sql(place, [summing(), summing("older", 2)])
    assert published.left_out == {
        "snapshots": "none was ever saved",
        "dead_letters": "nothing was ever parked",
        "streams": "it was never made",
        "event_types": "it was never made",
        "totals": "it was never made",
        "older": "version 1 serves, and 2 is declared: rebuild it",
    }
    assert answers(published.path, ["select count(*) from events", "from checkpoints"]) == [["1"], []]


def test_a_table_that_has_lost_its_last_row_is_empty_and_no_error(store: DeltaEventStore, place: str) -> None:
    database = publish_sql(place, [summing()]).path
    assert answers(database, ["select stream_id, projection from dead_letters", "select count(*) from snapshots"]) == [["odd-1|totals"], ["1"]]
    letters = DeadLetters(place)
    letters.remove(letters.all())
    store.snapshots.forget()
    store.snapshots.vacuum(retention_s=0, unnamed_s=0)
    for file in Path(place, "dead_letters").glob("[0-9a-f]*.parquet"):
        file.unlink()                              # as a vacuum does, in ten minutes
    assert answers(database, ["from dead_letters", "from snapshots"]) == [[], []]


def test_the_checkpoints_tell_how_far_each_read_model_is(store: DeltaEventStore, place: str) -> None:
    database = publish_sql(place, [summing()]).path
    told = "select projection, build, position from checkpoints order by all"
    assert answers(database, [told]) == [["streams|v2|7", "totals|v1|7"]]
    add(store, 2)
    catch_up(store, ServingModel(place, streams))
    assert answers(database, [told]) == [["streams|v2|9", "totals|v1|7"]]
    ServingModel(place, streams).now().maintain()  # a checkpoint of Delta says it, too
    assert answers(database, [told]) == [["streams|v2|9", "totals|v1|7"]]


def test_a_moved_warehouse_is_read_where_the_session_says(store: DeltaEventStore, place: str, tmp_path: Path) -> None:
    publish_sql(place, [summing()])
    shutil.move(place, tmp_path / "new [place]")
    database = tmp_path / "new [place]" / "warehouse.duckdb"
    for root in (f"{tmp_path}/new [place]", f"{tmp_path}/new [place]//"):
        told = answers(database, ["select count(*) from events", "select count(*) from totals"], f"set variable warehouse_root = '{root}';")
        assert told == [["7"], ["2"]]
    with pytest.raises(AssertionError, match="No files found"):
        answers(database, ["from events"])


def test_the_names_of_kurrentdb_are_there(store: DeltaEventStore, place: str) -> None:
    database = publish_sql(place).path
    query = "select * exclude (record_id), hex(record_id) as record_id from kdb.records where category = 'odd'"
    [row] = [json.loads(line) for line in answers(database, [as_json(query)])[0]]
    [event] = store.read_stream("odd-1").to_pylist()
    assert row == {
        "log_position": 7, "created_at": int(event["recorded_at"].timestamp() * 1000), "stream": "odd-1", "stream_revision": 0,
        "schema_name": "Counted", "schema_id": None, "schema_format": "json", "category": "odd", "data": '{"n":"many"}', "metadata": None,
        "record_id": event["event_id"].replace("-", "").upper(),
    }  # fmt: skip


def test_it_is_put_in_place_beside_those_who_read_it(store: DeltaEventStore, place: str) -> None:
    path = publish_sql(place).path
    with duckdb.connect(str(path), read_only=True) as reader:
        assert publish_sql(place, [summing()]).path == path
        assert "totals" not in [name for (name,) in reader.sql("select view_name from duckdb_views()").fetchall()]
        assert reader.sql("select count(*) from events").fetchall() == [(7,)]
    assert answers(path, ["select count(*) from totals"]) == [["2"]]
    assert sorted(os.listdir(place)) == ["dead_letters", "events", "projections", "snapshots", "warehouse.duckdb"]


def test_what_cannot_be_published_is_refused_and_what_was_there_stays(store: DeltaEventStore, place: str, tmp_path: Path) -> None:
    path = publish_sql(place).path
    before = path.read_bytes()
    for name in ("events", "located_events", "snapshots", "dead_letters", "checkpoints", "streams"):
        with pytest.raises(PublishError, match="another table has that name"):
            publish_sql(place, [summing(name)])
    with pytest.raises(PublishError, match="give the path of a file in a folder that is there"):
        publish_sql(place, path=tmp_path / "nowhere" / "x.duckdb")
    with pytest.raises(PublishError, match="give the path of a file"):
        publish_sql(place, path=tmp_path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_a_log_without_events_or_in_an_object_store_is_refused_with_the_remedy(tmp_path: Path, s3_warehouse: str) -> None:
    open_store(tmp_path, create=True).close()
    with pytest.raises(TableRefusedError, match="append some first"):
        publish_sql(str(tmp_path))
    with pytest.raises(TableRefusedError, match=re.escape("docs/other-tools.md")):
        publish_sql(s3_warehouse)


def test_it_may_lie_anywhere(store: DeltaEventStore, place: str, tmp_path: Path) -> None:
    path = publish_sql(place, path=tmp_path / "elsewhere.duckdb").path
    assert answers(path, ["select count(*) from events"]) == [["7"]]
