from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from store import JsonLines, LoggingObserver, correlated
from store.observer import Failed, Refused


@pytest.fixture
def written() -> Iterator[StringIO]:
    """What the loggers write from now on."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def lines(written: StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_measurement_is_a_line_with_its_facts(written: StringIO) -> None:
    LoggingObserver().record(Refused("WrongExpectedVersionError", "a", "order-7"))
    [line] = lines(written)
    assert line.pop("time")
    assert line == {
        "level": "debug", "logger": "alluvium", "message": "refused",
        "reason": "WrongExpectedVersionError", "stream_id": "a", "correlation_id": "order-7",
    }


def test_what_fails_is_a_warning(written: StringIO) -> None:
    LoggingObserver().record(Failed("upkeep", "disk full"))
    assert lines(written)[0]["level"] == "warning"


def test_every_line_of_an_operation_carries_its_ids(written: StringIO) -> None:
    with correlated("order-7", "cause-1"):
        logging.getLogger("shop").info("paid %s", "in full")
    logging.getLogger("shop").info("closed")
    first, second = lines(written)
    assert (first["message"], first["correlation_id"], first["causation_id"]) == ("paid in full", "order-7", "cause-1")
    assert "correlation_id" not in second


def test_an_error_comes_with_its_traceback(written: StringIO) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("shop").exception("failed")
    assert "ValueError: no" in str(lines(written)[0]["error"])
