"""`Live`: a read model in memory that follows the log by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from projections import ApplyError, Live, MemoryModel, NeedsRebuildError, Projection, ReadModel, Sql, as_of, catch_up, diff, wait_for, what_if
from projections.running import live
from store import Event, EventStore, MemoryEventStore, StorageError, open_store


def counting(select: str = "select type, 1 as events from events", **more: Any) -> Projection:
    columns = pa.schema({"type": pa.string(), "events": pa.int64()})
    return Projection(name="counted", version=1, key=("type",), columns=columns, form=Sql(select=select, combine={"events": "count"}), **more)


POISONED = counting("select type, (data ->> 'n')::bigint as events from events")


@pytest.fixture(params=["memory", "delta"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    with MemoryEventStore() if request.param == "memory" else open_store(str(tmp_path), create=True) as store:
        yield store


def test_it_catches_up_then_follows(log: EventStore) -> None:
    log.append("a", [Event("Happened", {}) for _ in range(3)])
    with Live(log, MemoryModel(counting())) as counted:
        for number in range(4, 10):
            wait_for(counted, log.append("a", [Event("Happened", {})]).position)
            assert counted.rows("events").to_pylist() == [{"events": number}]
        assert diff(counted, as_of(log, counting(), 9)).is_empty
        assert what_if(log, counted, [("a", Event("Happened", {}))]).changes() == {"events": 1}


def test_it_goes_on_from_the_rows_of_a_durable_model(log: EventStore, tmp_path: Path) -> None:
    durable = ReadModel.under(str(tmp_path), counting())
    log.append("a", [Event("Happened", {}) for _ in range(3)])
    catch_up(log, durable)
    with Live(log, MemoryModel.of(durable)) as counted:
        wait_for(counted, log.append("a", [Event("Happened", {})]).position)
        assert (counted.rows("events").to_pylist(), durable.rows("events").to_pylist()) == ([{"events": 4}], [{"events": 3}])
    durable.pause("to look at it")
    assert MemoryModel.of(durable).checkpoint() == 3
    with pytest.raises(NeedsRebuildError, match="other code"):
        MemoryModel.of(ReadModel(durable.uri, POISONED))


def test_its_checkpoint_passes_over_events_that_it_does_not_read(log: EventStore) -> None:
    for chosen in ({"types": ("Happened",)}, {"categories": ("a",)}):
        with Live(log, MemoryModel(counting(**chosen))) as counted:
            log.append("a-1", [Event("Happened", {})])
            wait_for(counted, log.append("b-1", [Event("Other", {})]).position)
            assert counted.row_count() == 1


def test_its_failure_is_raised_to_whoever_asks(log: EventStore) -> None:
    with Live(log, MemoryModel(POISONED)) as poisoned:
        wait_for(poisoned, log.append("a", [Event("Happened", {"n": 1})]).position)
        last = log.append("a", [Event("Happened", {"n": "one"})]).position
        with pytest.raises(ApplyError, match=r"position 2\b"):
            wait_for(poisoned, last)
        for ask in (poisoned.rows, poisoned.row_count, poisoned.checkpoint, poisoned.look):
            with pytest.raises(ApplyError):
                ask()
        hold = poisoned.hold()
        assert hold is not None
        assert hold.kind == "halted"


def test_closed_it_keeps_its_rows_and_follows_no_more(log: EventStore) -> None:
    before = threading.active_count()
    counted = Live(log, MemoryModel(counting()))
    wait_for(counted, log.append("a", [Event("Happened", {})]).position)
    counted.close()
    counted.close()
    log.append("a", [Event("Happened", {})])
    assert (counted.rows("events").to_pylist(), counted.checkpoint()) == ([{"events": 1}], 1)
    assert threading.active_count() <= before + 1, "its thread has ended"


def test_many_follow_one_log(log: EventStore) -> None:
    models = [Live(log, MemoryModel(counting())) for _ in range(10)]
    for _ in range(10):
        last = log.append("a", [Event("Happened", {})]).position
    for model in models:
        wait_for(model, last)
        assert model.rows("events").to_pylist() == [{"events": 10}]
        model.close()


def test_storage_that_refuses_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryEventStore() as store:
        head, refusals = store.head, iter(range(3))

        def unsteady() -> int:
            if threading.current_thread().name.startswith("alluvium-live") and next(refusals, None) is not None:
                raise StorageError("the bucket does not answer")
            return head()

        monkeypatch.setattr(live, "_SHORTEST_WAIT_S", 0.001)
        monkeypatch.setattr(store, "head", unsteady)
        with Live(store, MemoryModel(counting())) as counted:
            wait_for(counted, store.append("a", [Event("Happened", {})]).position)
        assert next(refusals, None) is None
