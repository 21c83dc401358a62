"""Measuring never stands in the way of what is measured."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import MemoryEventStore, open_store, transact
from store.observer import Checkpointed, Decided, Failed, Guarded, Measurement
from tests.store.deciding.account import account, deposit


class MutinousObserver:
    def record(self, measurement: Measurement) -> None:
        raise RuntimeError("metrics down")


class MutinousHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("log down")


@pytest.fixture
def mutinous_log() -> Iterator[None]:
    logger, handler = logging.getLogger("alluvium"), MutinousHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_an_observer_that_raises_fails_nothing(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True, observer=MutinousObserver()) as store:
        assert transact(store, account, "1", deposit(1)).version == 1
        store.maintain()


def test_its_first_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    observer = Guarded(MutinousObserver())
    observer.record(Failed("upkeep", "one"))
    observer.record(Failed("upkeep", "two"))
    [logged] = caplog.records
    assert (logged.name, logged.levelname) == ("alluvium", "ERROR")
    assert "MutinousObserver" in logged.getMessage()
    assert logged.exc_info is not None
    assert str(logged.exc_info[1]) == "metrics down"


@pytest.mark.usefixtures("mutinous_log")
def test_a_log_handler_that_raises_fails_nothing(tmp_path: Path) -> None:
    with MemoryEventStore() as memory:
        assert transact(memory, account, "1", deposit(1)).version == 1
    with open_store(str(tmp_path), create=True) as store:
        assert transact(store, account, "1", deposit(1)).version == 1


def test_one_that_does_not_raise_is_told_all() -> None:
    told: list[Measurement] = []

    class Listing:
        def record(self, measurement: Measurement) -> None:
            told.append(measurement)

    measurements: list[Measurement] = [Failed("upkeep", "one"), Checkpointed(1, 1, 1, 1, 0.0), Decided("stream 'a'", 1, 1, 1, 0.0, ())]
    observer = Guarded(Listing())
    for measurement in measurements:
        observer.record(measurement)
    assert told == measurements
