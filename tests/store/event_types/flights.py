"""The event types that the tests register: one of each library, with a history of names and shapes behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa
import pydantic

from store import Event, EventType, EventTypes, MemoryEventStore, Rename, Split, Upcast

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


class Departed(msgspec.Struct, frozen=True):
    flight: str
    at: datetime
    delay_min: int = 0


class Cabin(Enum):
    FIRST = "first"
    COACH = "coach"


@dataclass(frozen=True)
class Row:
    number: int
    letter: str = "A"


@dataclass(frozen=True)
class Booked:
    flight: str
    seat: Row
    cabin: Cabin = Cabin.COACH
    price: Decimal | None = None


class Paid(pydantic.BaseModel):
    amount: Decimal
    due: date | None = None
    by: str = pydantic.Field(default="card", alias="paidBy")


@dataclass(frozen=True)
class Everything:
    """A field of every kind."""

    text: str
    whole: int
    real: float
    yes: bool
    instant: datetime
    day: date
    money: Decimal
    ident: UUID
    took: timedelta
    cabin: Cabin
    raw: bytes
    row: Row
    maybe: int | None = None
    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    either: int | str = 0
    pair: tuple[int, str] = (0, "")


def types() -> EventTypes:
    return EventTypes(
        EventType("Departed", Departed, schema_version=3, tags=lambda e: [f"flight:{e.flight}"], occurred_at=lambda e: e.at),
        EventType("Booked", Booked, schema_version=2),
        EventType("Paid", Paid),
        steps=[
            Upcast("Departed", 1, lambda data: {**data, "delay": 0}),
            Upcast("Departed", 2, _in_minutes),
            Upcast("Booked", 1, lambda data: {**data, "seat": {"number": data["seat"]}}),
            Rename("Sold", 1, to="Booked"),
            Split("Group", 1, _each_seat, into=(("Booked", 1), ("Paid", 1))),
        ],
    )


def _in_minutes(data: dict[str, Any]) -> dict[str, Any]:
    return {"delay_min": data.pop("delay") // 60} | data


def _each_seat(data: dict[str, Any]) -> list[tuple[str, int, dict[str, Any]]]:
    seats = [("Booked", 1, {"flight": data["flight"], "seat": seat}) for seat in data["seats"]]
    return [*seats, ("Paid", 1, {"amount": "9.50"})] if seats else []


def log(*events: Event) -> pa.Table:
    """These events as the log holds them, all of one stream."""
    with MemoryEventStore() as store:
        store.append("flight-1", events)
        return store.read_all().read_all()
