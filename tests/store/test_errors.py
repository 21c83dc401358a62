"""Errors that help: each says what to do, of which stream it tells, and to which operation it belongs."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest

from store import (
    ANY,
    ConditionFailedError,
    Conflict,
    ContentionError,
    EventStore,
    EventTypesError,
    IncompatibleTypesError,
    InvalidEventError,
    Query,
    StorageError,
    StoreError,
    TableRefusedError,
    UnknownEventTypeError,
    UnreadableEventError,
    WrongExpectedVersionError,
    correlated,
)
from tests.store.facts import fact


def every(error: type[StoreError]) -> Iterator[type[StoreError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from every(kind)


EVERY = [StoreError, *dict.fromkeys(every(StoreError))]
TOLD_BY_THE_INSTANCE = (InvalidEventError, TableRefusedError, EventTypesError, UnreadableEventError, IncompatibleTypesError)


@pytest.mark.parametrize("error", [kind for kind in EVERY[1:] if not issubclass(kind, TOLD_BY_THE_INSTANCE)])
def test_every_class_has_a_remedy(error: type[StoreError]) -> None:
    assert error.remedy != StoreError.remedy


def test_a_wrong_version_has_all_fields(store: EventStore) -> None:
    store.append("a", [fact()])
    with correlated("order-7"), pytest.raises(WrongExpectedVersionError) as raised:
        store.append("a", [fact()], expected_version=5)
    error = raised.value
    assert (error.stream_id, error.expected, error.actual, error.correlation_id) == ("a", 5, 1, "order-7")
    assert error.remedy in str(error)
    assert str(error).endswith("[correlation_id=order-7]")


def test_a_failed_condition_has_all_fields(store: EventStore) -> None:
    store.append("a", [fact()])
    with correlated("order-7"), pytest.raises(ConditionFailedError) as raised:
        store.append("b", [fact()], fail_if=Query())
    assert (raised.value.stream_id, raised.value.position, raised.value.correlation_id) == ("a", 1, "order-7")


def test_an_error_told_to_several_is_each_ones_own() -> None:
    shared = ContentionError("stream 'a'", WrongExpectedVersionError([Conflict("a", 1, 2)]), 3, 1.0)
    one, two = shared.told("order-1"), shared.told("order-2")
    assert (one.correlation_id, two.correlation_id, one.stream_id) == ("order-1", "order-2", "a")


def test_notes_of_one_are_not_the_others() -> None:
    shared = StorageError("full")
    shared.add_note("for all")
    one, two = shared.told("order-1"), shared.told("order-2")
    one.add_note("for one")
    assert two.__notes__ == ["for all"]


def test_an_error_learns_its_stream_once() -> None:
    error = UnknownEventTypeError("A", 1).of_stream("a").of_stream("b")
    assert error.stream_id == "a"


VALUES: dict[Any, Any] = {
    str: "text",
    int: 7,
    bool: True,
    float: 1.5,
    object: Query(types=["A"]),
    datetime: datetime(2026, 1, 1, tzinfo=UTC),
    StoreError: WrongExpectedVersionError([Conflict("a", ANY, 2)]),
    Sequence[Conflict]: [Conflict("a", 1, 2), Conflict("b", ANY, 0)],
    Sequence[object]: ["one", "two"],
    Sequence[str]: ["h0-7", "h8-f"],
    str | None: "text",
    int | None: 7,
}
"""What errors are made from, by the type of the parameter."""


def made(kind: type[StoreError]) -> StoreError:
    """One of that class, with all that it can carry."""
    parameters, hints = inspect.signature(kind).parameters.values(), get_type_hints(kind.__init__)
    given = {parameter.name: VALUES[hints[parameter.name]] for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL}
    with correlated("order-7"):
        error = kind(**given) if given or kind.__init__ is not StoreError.__init__ else kind("text")
    error.add_note("while folding")
    return error


def fields(error: StoreError) -> dict[str, Any]:
    """All that it says; of an error inside as well."""
    own = {name: fields(value) if isinstance(value, StoreError) else value for name, value in vars(error).items()}
    return own | {"class": type(error), "message": str(error), "args": error.args}


COPIES: list[Callable[[StoreError], StoreError]] = [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]


@pytest.mark.parametrize("again", COPIES, ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("kind", EVERY)
def test_a_copy_has_all_fields(kind: type[StoreError], again: Callable[[StoreError], StoreError]) -> None:
    error = made(kind)
    assert fields(again(error)) == fields(error)


class OneWayError(Exception):
    """Can be pickled, and not be read back."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


@pytest.mark.parametrize("value", [threading.Lock(), OneWayError(1, 2)], ids=["lock", "one way"])
def test_what_cannot_be_pickled_is_told_by_its_looks(value: object) -> None:
    error = InvalidEventError("decide", value, "is no list", "return a list")
    again = pickle.loads(pickle.dumps(error))
    assert (again.value, str(again)) == (repr(error.value), str(error))
    assert copy.copy(error).value is error.value


def fail(number: int) -> None:
    raise made(EVERY[number])


def test_every_error_comes_back_from_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, kind in enumerate(EVERY):
            raised = pool.submit(fail, number).exception()
            assert isinstance(raised, StoreError)
            assert fields(raised) == fields(made(kind))
