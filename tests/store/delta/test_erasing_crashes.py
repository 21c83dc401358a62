"""An erasure is killed at every step by which it changes the disk: all of it happened or none, nothing else did, and it can be completed."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.compute as pc
import pytest

import store as package
from store import Event, erasure_of, open_store, reapply, traces, verify
from store.delta import log, log_cleanup
from store.delta.delta_store import DeltaEventStore
from tests.store.delta.crash import Order
from tests.store.delta.erasing_victim import STREAM, erase
from tests.store.delta.victims import Victims, assert_dense, copied, explained, fresh, memory, rows_of

HOUSE = Path(package.__file__).parents[1]
SECRET = "planted-secret-value"
WHO: dict[str, Any] = {"by": "ann", "why": "crash"}


@pytest.fixture(autouse=True)
def moments_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims("tests.store.delta.erasing_victim") as victims:
        yield victims


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """The stream is in a sorted run, and in landing files beside others and alone."""
    with memory() as folder:
        with open_store(str(folder / "warehouse"), create=True) as store:
            for number in range(3):
                store.append(f"a-{number}", [Event("Happened", {"name": f"{SECRET}-{part}" if number == 1 else "x"}) for part in range(5)])
            store.compact()
            store.checkpoint()
            for number in range(3):
                store.append(f"a-{number}", [Event("Happened", {"name": SECRET if number == 1 else "x"})])
        yield folder / "warehouse"


def own(store: DeltaEventStore) -> list[dict[str, Any]]:
    return [row for row in rows_of(store) if not row["stream_id"].startswith("$")]


def test_kill_at_any_step_erases_all_or_nothing_and_can_be_completed(victims: Victims, template: Path, folder: Path) -> None:
    copies = fresh(folder)
    step, seen = 0, set[bool]()
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            before = own(neighbour)
            told = victims.run(Order("erase", str(warehouse), step))
            if told.ended == 0:
                break
            with explained(told):
                seen.add(assert_whole(before, neighbour, warehouse))
                reapply(neighbour, **WHO)              # where its deed is there; else the erasure never began
                erase(neighbour)
                assert_erased(before, neighbour, warehouse)
    assert seen == {True, False}
    assert step > 20


def assert_whole(before: list[dict[str, Any]], neighbour: DeltaEventStore, warehouse: Path) -> bool:
    """Was it erased? For everybody, or for nobody."""
    with open_store(str(warehouse)) as store:
        rows = own(store)
        husks = [erasure_of(row["data"]) is not None for row in rows if row["stream_id"] == STREAM]
        assert len(set(husks)) == 1
        assert [row for row in rows if row["stream_id"] != STREAM] == [row for row in before if row["stream_id"] != STREAM]
        assert [(row["position"], row["version"], row["event_id"]) for row in rows] == [
            (row["position"], row["version"], row["event_id"]) for row in before
        ]
        assert_dense(rows_of(store))
        assert own(neighbour) == rows
    assert verify(str(warehouse)).sound
    return husks[0]


def assert_erased(before: list[dict[str, Any]], neighbour: DeltaEventStore, warehouse: Path) -> None:
    assert assert_whole(before, neighbour, warehouse)
    neighbour.vacuum(0)                            # also of files that the killed one had written, and no commit names
    assert traces(str(warehouse), [SECRET]) == []
    assert neighbour.append("later", [Event("Happened", {})], 0).version == 1


def test_erasure_beside_appenders_compactors_and_vacuums_of_other_processes_ends_and_loses_nothing(tmp_path: Path) -> None:
    """They go on until the erasures are done."""
    warehouse, stop = str(tmp_path / "warehouse"), tmp_path / "stop"
    with open_store(warehouse, create=True) as store:
        for number in range(200):
            store.append(f"s-{number % 10}", [Event("Happened", {"name": f"{SECRET}-{number % 10}"})])
    command = [sys.executable, "-m", "tests.store.delta.meddler"]
    works = [("append", "1"), ("append", "2"), ("compact", "0"), ("vacuum", "0")]
    others = [subprocess.Popen([*command, warehouse, str(stop), *work], stdout=subprocess.PIPE, cwd=HOUSE) for work in works]
    try:
        for other in others:                       # each says that it has begun
            assert other.stdout is not None
            other.stdout.readline()
        with open_store(warehouse) as store:
            for number in range(5):
                head = store.head()
                store.erase(_erasure(number, head), **WHO)
    finally:
        stop.touch()
    acknowledged = [orjson.loads(line) for other in others for line in other.communicate()[0].splitlines()]
    assert [other.returncode for other in others] == [0] * 4
    with open_store(warehouse) as store:
        rows = rows_of(store)
        assert_dense(rows)
        there = {row["event_id"] for row in rows}
        assert {event_id for told in acknowledged for event_id in told} <= there
        events = store.read_all().read_all()
        husks = pc.starts_with(events["data"], '{"$erased"')
        assert events.filter(husks)["position"].to_pylist() == [position for position in range(1, 201) if (position - 1) % 10 < 5]
        store.vacuum(0)
    assert {str(trace.value) for trace in traces(warehouse, [f"{SECRET}-{number}" for number in range(10)])} == {
        f"{SECRET}-{number}" for number in range(5, 10)
    }
    assert verify(warehouse).sound


def _erasure(number: int, head: int) -> Any:
    return package.Erasure(streams=[f"s-{number}"], where_field=("name", f"{SECRET}-{number}"), until=head)
