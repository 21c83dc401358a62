"""Projections that processes can import: amounts put into tills."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from projections import Handlers, Place, Projection, Sql
from store import Event, EventType, EventTypes, Upcast, open_store


class Put(msgspec.Struct, frozen=True):
    cents: int
    clerk: str = "Ada"


class Emptied(msgspec.Struct, frozen=True):
    clerk: str = "Ada"


def in_cents(data: dict[str, Any]) -> dict[str, Any]:
    return {"cents": data["euros"] * 100}


TYPES = EventTypes(EventType("Put", Put, schema_version=2), EventType("Emptied", Emptied), steps=[Upcast("Put", 1, in_cents)])
COLUMNS = pa.schema({"till": pa.string(), "puts": pa.int64(), "cents": pa.int64()})


def put(row: dict[str, Any] | None, event: Put, place: Place) -> dict[str, Any]:
    if event.cents == 666:
        raise ValueError("a cursed amount")
    if event.cents == 999:
        os.kill(os.getpid(), signal.SIGKILL)
    if event.cents == 998 and (once := Path(event.clerk)).exists():
        once.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    row = row or {"till": place.stream_id, "puts": 0, "cents": 0}
    return {**row, "puts": row["puts"] + 1, "cents": row["cents"] + event.cents}


def empty(row: dict[str, Any] | None, event: Emptied, place: Place) -> None:
    return None


def of_clerk(row: dict[str, Any] | None, event: Put, place: Place) -> dict[str, Any]:
    return {"till": event.clerk, "puts": 1 + (row["puts"] if row else 0), "cents": event.cents}


def till(event: Put | Emptied, place: Place) -> str:
    return place.stream_id


def clerk(event: Put | Emptied, place: Place) -> str:
    return event.clerk


def declared(name: str, form: Handlers | Sql, by_stream: bool = True) -> Projection:
    types = ("Put",) if isinstance(form, Sql) else None
    return Projection(name=name, version=1, key=("till",), columns=COLUMNS, types=types, event_types=TYPES, form=form, by_stream=by_stream)


SUMS = declared(
    "sums", Sql("select stream_id as till, 1 as puts, (data ->> 'cents')::bigint as cents from events", {"puts": "count", "cents": "sum"})
)
TILLS = declared("tills", Handlers(on={Put: put, Emptied: empty}, key=till))
CLERKS = declared("clerks", Handlers(on={Put: of_clerk}, key=clerk))
"""Says it is by stream, and is not."""
UNSEEN = declared("unseen", Handlers(on={Put: of_clerk, Emptied: empty}, key=clerk))
"""The same, where one of the processes may touch a row and leave it as it is."""


def log(directory: Path, events: int, *more: tuple[str, Event]) -> str:
    """Of 40 tills, with old events and some in leaves; then `more`."""
    chance = random.Random(events)
    with open_store(directory, create=True) as store:
        for number in range(events):
            if number == events // 2:
                store.compact()
            shape, data = (1, {"euros": number}) if number % 7 else (2, {"cents": number % 500})
            event = Event("Put", data, schema_version=shape) if chance.random() < 0.8 else Event("Emptied", {})
            store.append(f"till-{chance.randrange(40)}", [event])
        for stream_id, event in more:
            store.append(stream_id, [event])
    return str(directory)
