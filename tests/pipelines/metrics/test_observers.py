from __future__ import annotations

import logging
from typing import Any

import pytest

from pipelines.metrics import Observers, logging_observer
from projections import Halted
from store import Failed


class Listing:
    def __init__(self) -> None:
        self.told: list[Any] = []

    def record(self, measurement: Any) -> None:
        self.told.append(measurement)


class Mutinous:
    def record(self, measurement: Any) -> None:
        raise RuntimeError("metrics down")


def test_one_that_raises_keeps_nothing_from_the_others() -> None:
    before, after = Listing(), Listing()
    Observers(before, Mutinous(), after).record(Failed("upkeep", "one"))
    assert before.told == after.told == [Failed("upkeep", "one")]


def test_one_log_warns_of_the_store_s_troubles_and_the_projections_own(caplog: pytest.LogCaptureFixture) -> None:
    for measurement in (Failed("upkeep", "no room"), Halted("fleet", "ApplyError", "no such field", None)):
        logging_observer().record(measurement)
    assert [(record.levelno, record.getMessage().split()[0]) for record in caplog.records] == [
        (logging.WARNING, "failed"), (logging.WARNING, "halted"),
    ]  # fmt: skip
