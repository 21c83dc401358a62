"""Two states are one if no code can tell them apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from pydantic import BaseModel

from store.deciding.likeness import alike


class Status(StrEnum):
    FLYING = "flying"


@dataclass(frozen=True)
class Place:
    name: Any
    seen: int = field(default=0, compare=False)


class Trip(msgspec.Struct, frozen=True):
    places: Any


class Ticket(BaseModel):
    holder: Any


class Pair(NamedTuple):
    one: Any
    other: Any


WRAPPED = [
    lambda value: value,
    lambda value: [value],
    lambda value: (1, value),
    lambda value: {"a": {"b": value}},
    Place,
    lambda value: Trip((Place(value),)),
    lambda value: Ticket(holder=value),
]


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Counter(a=1), {"a": 1}), (defaultdict(int, a=1), {"a": 1}), (Status.FLYING, "flying"), (True, 1), ({Status.FLYING: 1}, {"flying": 1}),
        ({Status.FLYING}, {"flying"}), (frozenset((1,)), {1}), (Pair(1, 2), (1, 2)), ({(1, True): 0}, {(1, 1): 0}), ([1], [2]),
        (datetime(2013, 1, 1, tzinfo=ZoneInfo("America/New_York")), datetime(2013, 1, 1, tzinfo=timezone(timedelta(hours=-5)))),
    ],
)  # fmt: skip
def test_equal_states_of_other_types_are_told_apart(wrapped: Any, one: Any, other: Any) -> None:
    assert not alike(wrapped(one), wrapped(other))
    assert not alike(wrapped(other), wrapped(one))


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}), (1, 1.0), ([Status.FLYING], [Status.FLYING]), ({1, 2}, {2, 1}), (None, None),
        (Place("EWR", 1), Place("EWR", 2)), ({Pair(1, "a"): [Place(1)]}, {Pair(1, "a"): [Place(1)]}),
        (datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, tzinfo=timezone(timedelta(0)))),
    ],
)  # fmt: skip
def test_what_code_cannot_tell_apart_is_alike(wrapped: Any, one: Any, other: Any) -> None:
    assert alike(wrapped(one), wrapped(other))
