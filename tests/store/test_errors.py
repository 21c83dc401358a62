"""Errors that help: each says what to do, of which stream it tells, and to which operation it belongs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store import (
    ConditionFailedError,
    Conflict,
    ContentionError,
    EventStore,
    EventTypesError,
    IncompatibleTypesError,
    InvalidEventError,
    Query,
    StoreError,
    TableRefusedError,
    UnreadableEventError,
    WrongExpectedVersionError,
    correlated,
)
from tests.store.facts import fact


def every(error: type[StoreError]) -> Iterator[type[StoreError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from every(kind)


TOLD_BY_THE_INSTANCE = (InvalidEventError, TableRefusedError, EventTypesError, UnreadableEventError, IncompatibleTypesError)


@pytest.mark.parametrize("error", [kind for kind in every(StoreError) if not issubclass(kind, TOLD_BY_THE_INSTANCE)])
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
