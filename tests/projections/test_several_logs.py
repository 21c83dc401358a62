"""Projections over a warehouse of several logs: one checkpoint, and the rows that one log would give, whatever the order of the appends."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from projections import (
    Declined,
    Handlers,
    Live,
    MemoryModel,
    Place,
    Processes,
    Projection,
    ReadModel,
    Sail,
    Sql,
    catch_up,
    fill,
    fill_by_shard,
    fill_on_sail,
    follow,
    wait_for,
)
from store import Event, Logs, MemoryEventStore, open_logs
from tests.projections.tills import SUMS, TILLS, Put

COLUMNS = pa.schema({"clerk": pa.string(), "till": pa.string(), "position": pa.int64(), "puts": pa.int64()})


def noted(row: dict[str, Any] | None, event: Put, place: Place) -> dict[str, Any]:
    return {"clerk": event.clerk, "till": place.stream_id, "position": place.position, "puts": (row["puts"] if row else 0) + 1}


def clerk(event: Put, place: Place) -> str:
    return event.clerk


LATEST = Projection(
    name="latest", version=1, key=("clerk",), columns=COLUMNS, event_types=TILLS.event_types, form=Handlers(on={Put: noted}, key=clerk)
)
"""Which till a clerk was at last: events of all streams touch a row, and their order counts."""
NEWEST = Projection(
    name="newest",
    version=1,
    key=("clerk",),
    columns=COLUMNS,
    types=("Put",),
    form=Sql(
        "select coalesce(data ->> 'clerk', 'Ada') as clerk, stream_id as till, position, 1 as puts from events",
        {"till": "last", "position": "max", "puts": "count"},
    ),
)


def appended(store: Logs | MemoryEventStore, events: int, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(events):
        data = {"cents": number, "clerk": chance.choice(["Ada", "Bo", "Cy"])}
        event = Event("Put", data, schema_version=2) if chance.random() < 0.8 else Event("Emptied", {})
        store.append(f"till-{chance.randrange(15)}", [event])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Logs]:
    with open_logs(tmp_path / "warehouse", create=True) as store:
        appended(store, 20, 1)
        store.split("h", 4)
        appended(store, 30, 2)
        store.compact()
        store.split("h0-3", 2)
        appended(store, 20, 3)
        yield store


def replayed(store: Logs) -> MemoryEventStore:
    """One log with the same events in the same order."""
    beside = MemoryEventStore()
    for row in store.read_all().read_all().to_pylist():
        given = {name: row[name] for name in ("event_id", "schema_version", "occurred_at")}
        beside.append(row["stream_id"], [Event(row["type"], row["data"].encode(), **given)])
    return beside


def rows(model: Any) -> list[dict[str, Any]]:
    return sorted(model.rows().to_pylist(), key=str)


def expected(store: Logs, projection: Projection) -> list[dict[str, Any]]:
    model = MemoryModel(projection)
    catch_up(replayed(store), model)
    return rows(model)


@pytest.mark.parametrize("projection", [SUMS, TILLS, LATEST, NEWEST], ids=lambda projection: projection.name)
def test_rows_are_those_of_one_log(store: Logs, tmp_path: Path, projection: Projection) -> None:
    step_by_step, at_once = ReadModel(str(tmp_path / "steps"), projection), ReadModel(str(tmp_path / "once"), projection)
    for until in (3, 19, 21, 47, 70):
        catch_up(store, step_by_step, batch_events=7, until=until)
        assert step_by_step.checkpoint() == until
    assert fill(store, at_once).checkpoint == 70
    assert rows(step_by_step) == rows(at_once) == expected(store, projection) != []


def test_a_checkpoint_holds_through_a_split(store: Logs, tmp_path: Path) -> None:
    model = ReadModel(str(tmp_path / "model"), LATEST)
    catch_up(store, model)
    assert sum(store.vector(model.checkpoint()).values()) == 70
    store.split("h4-7", 2)
    appended(store, 15, 4)
    assert catch_up(store, model).events == sum(row["type"] == "Put" for row in store.read_all(after=70).read_all().to_pylist())
    assert rows(model) == expected(store, LATEST)


def test_shard_tasks_read_all_logs(store: Logs, tmp_path: Path) -> None:
    warehouse = str(tmp_path / "warehouse")
    model = ReadModel.under(warehouse, TILLS)
    assert fill_by_shard(warehouse, model, span_events=30, executor=Processes(2)).checkpoint == 70
    assert rows(model) == expected(store, TILLS)


def test_sail_reads_one_log_and_leaves_several_to_others(store: Logs, tmp_path: Path) -> None:
    noted: list[Any] = []
    observer = type("Noting", (), {"record": lambda _, one: noted.append(one)})()
    model = ReadModel(str(tmp_path / "model"), plain := replace(SUMS, event_types=None))
    fill_on_sail(store, str(tmp_path / "warehouse"), model, Sail("grpc://127.0.0.1:1"), observer=observer)
    assert rows(model) == expected(store, plain)
    assert [one.why for one in noted if isinstance(one, Declined)] == ["the warehouse has several logs"]


def test_who_waits_for_a_place_reads_its_own_write(store: Logs, tmp_path: Path) -> None:
    stop, model = threading.Event(), ReadModel(str(tmp_path / "model"), TILLS)
    thread = threading.Thread(target=follow, args=(store, [model], stop, lambda *_: None))
    thread.start()
    try:
        appended_at = store.append("till-99", [Event("Put", {"cents": 5}, schema_version=2)])
        wait_for(model, store.place("till-99", appended_at.version))
        assert {row["till"] for row in rows(model)} >= {"till-99"}
    finally:
        stop.set()
        thread.join()


def test_a_live_model_sees_what_comes_in_any_log(store: Logs) -> None:
    with Live(store, MemoryModel(TILLS)) as live:
        store.split("hc-f", 4)
        for number in range(15):
            store.append(f"till-{number}", [Event("Put", {"cents": 5}, schema_version=2)])
        wait_for(live, store.head())
        assert rows(live) == expected(store, TILLS)
