"""Runners tell what they did, and whom they tell never stands in their way."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from projections import (
    Applied,
    DeadLetters,
    Delayed,
    Halted,
    Measurement,
    MemoryModel,
    Park,
    Parked,
    Projection,
    ReadModel,
    Sql,
    catch_up,
    fill,
    follow,
)
from store import Event, MemoryEventStore, StorageError, correlated


class Listing:
    def __init__(self) -> None:
        self.told: list[Measurement] = []

    def record(self, measurement: Measurement) -> None:
        self.told.append(measurement)


class Mutinous:
    def record(self, measurement: Measurement) -> None:
        raise RuntimeError("metrics down")


def summing(cast: str = "bigint") -> Projection:
    select = f"select type, (data ->> 'n')::{cast} as total from events"
    columns = pa.schema({"type": pa.string(), "total": pa.int64()})
    return Projection(name="summed", version=1, key=("type",), columns=columns, form=Sql(select, {"total": "sum"}))


@pytest.fixture
def log() -> MemoryEventStore:
    store = MemoryEventStore()
    for number in range(5):
        store.append(f"s-{number}", [Event("Counted", {"n": number})])
    return store


def test_every_batch_is_told_with_its_place_in_the_run(log: MemoryEventStore) -> None:
    listing = Listing()
    catch_up(log, MemoryModel(summing()), 2, observer=listing)
    applied = [one for one in listing.told if isinstance(one, Applied)]
    assert [(one.projection, one.events, one.rows, one.position, one.until) for one in applied] == [
        ("summed", 2, 1, 2, 5), ("summed", 2, 1, 4, 5), ("summed", 1, 1, 5, 5),
    ]  # fmt: skip
    assert all(one.seconds > 0 for one in applied)


def test_a_fill_tells_its_batches_too(log: MemoryEventStore, tmp_path: Path) -> None:
    listing = Listing()
    done = fill(log, ReadModel(str(tmp_path), summing()), observer=listing)
    assert sum(one.events for one in listing.told if isinstance(one, Applied)) == done.events == 5


def test_what_is_parked_is_told_with_all_that_waits_behind_it(log: MemoryEventStore, tmp_path: Path) -> None:
    log.append("s-9", [Event("Counted", {"n": "many"}), Event("Counted", {"n": 1})])
    listing = Listing()
    catch_up(log, MemoryModel(summing()), failing=Park(DeadLetters(str(tmp_path)), attempts=1), observer=listing)
    assert [one for one in listing.told if isinstance(one, Parked)] == [Parked("summed", 2, 1)]


def test_a_follower_tells_that_it_halted_and_why(log: MemoryEventStore) -> None:
    with correlated("journey-1"):
        log.append("s-9", [Event("Counted", {"n": "many"})])
    listing, stop = Listing(), threading.Event()
    follow(log, [MemoryModel(summing())], stop, lambda *_: None, observer=listing)
    [halted] = [one for one in listing.told if isinstance(one, Halted)]
    assert (halted.projection, halted.reason) == ("summed", "ApplyError")
    assert "many" in halted.problem


def test_a_follower_tells_that_storage_makes_it_wait() -> None:
    stop = threading.Event()

    class Refusing(MemoryEventStore):
        def head(self) -> int:
            raise StorageError("memory:", "it does not answer")

    class Stopping(Listing):
        def record(self, measurement: Measurement) -> None:
            super().record(measurement)
            stop.set()

    listing = Stopping()
    follow(Refusing(), [MemoryModel(summing())], stop, lambda *_: None, observer=listing)
    [delayed] = listing.told
    assert isinstance(delayed, Delayed)
    assert (delayed.reason, delayed.failures) == ("StorageError", 1)


def test_an_observer_that_raises_fails_nothing(log: MemoryEventStore, caplog: pytest.LogCaptureFixture) -> None:
    model = MemoryModel(summing())
    assert catch_up(log, model, 2, observer=Mutinous()).events == 5
    assert model.rows().to_pylist() == [{"type": "Counted", "total": 10}]
    [logged] = caplog.records
    assert "Mutinous" in logged.getMessage()


def test_without_one_the_logger_is_told_and_what_stands_still_is_a_warning(log: MemoryEventStore, caplog: pytest.LogCaptureFixture) -> None:
    log.append("s-9", [Event("Counted", {"n": "many"})])
    with caplog.at_level(logging.DEBUG, "alluvium"):
        follow(log, [MemoryModel(summing())], threading.Event(), lambda *_: None)
    [halted] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert halted.getMessage().startswith("halted projection=summed reason=ApplyError")
