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


def test_only_a_measurement_of_ours_is_told_by_its_name_alone(written: StringIO) -> None:
    logging.getLogger("shop").info("order placed well", extra={"facts": {"cents": 5}})
    logging.getLogger("alluvium").info("the store is open")
    first, second = lines(written)
    assert (first["message"], first["cents"]) == ("order placed well", 5)
    assert second["message"] == "the store is open"


class Untellable:
    def __repr__(self) -> str:
        raise KeyError("no")


ITSELF: dict[str, object] = {}
ITSELF["again"] = ITSELF

ODD_FACTS: dict[str, tuple[object, dict[str, object]]] = {
    "a huge int": ({"n": 2**70, "good": [1]}, {"n": str(2**70), "good": [1]}),
    "a lone surrogate": ({"file": "\udcff.txt"}, {"file": "\\udcff.txt"}),
    "a lone surrogate as a name": ({"\udcff": 1}, {"\\udcff": 1}),
    "an int for a name": ({1: 2}, {"1": 2}),
    "a tuple for a name": ({(1, 2): 3}, {"(1, 2)": 3}),
    "names inside": ({"a": {(1, 2): 3}}, {"a": "{(1, 2): 3}"}),
    "an object": ({"at": {1}}, {"at": "{1}"}),
    "itself": ({"itself": ITSELF}, {"itself": "{'again': {...}}"}),
    "what has no text": ({"bad": Untellable(), "good": 1}, {"bad": "<Untellable, which cannot be told (KeyError)>", "good": 1}),
    "no mapping": ("five", {"facts": "five"}),
}


@pytest.mark.parametrize(("facts", "told"), ODD_FACTS.values(), ids=ODD_FACTS.keys())
def test_no_line_is_lost_for_its_facts(written: StringIO, facts: object, told: dict[str, object]) -> None:
    logging.getLogger("shop").info("paid in full", extra={"facts": facts})
    [line] = lines(written)
    assert line.pop("message") == "paid in full"
    assert {name: line[name] for name in told} == told


@pytest.mark.parametrize(
    ("message", "argument", "told"),
    [
        ("bad file name %s", "\udcff.txt", "bad file name \\udcff.txt"),
        ("paid %d of %d", "five", "paid %d of %d ('five',)"),
        ("paid %s", Untellable(), "paid %s <tuple, which cannot be told (KeyError)>"),
    ],
)
def test_no_line_is_lost_for_its_message(message: str, argument: object, told: str) -> None:
    """Asked of the formatter itself: pytest has a handler too, which raises."""
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, message, (argument,), None)
    assert json.loads(JsonLines().format(record))["message"] == told


def test_the_stack_is_told_when_asked_for(written: StringIO) -> None:
    logging.getLogger("shop").info("here", stack_info=True)
    assert "test_json_lines" in str(lines(written)[0]["stack"])
