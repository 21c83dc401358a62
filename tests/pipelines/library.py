"""A domain of a user's: books lent, in read models of every form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import polars as pl
import pyarrow as pa

from pipelines.definitions import definitions
from pipelines.domain import Domain
from pipelines.settings import Settings
from projections import Frame, Handlers, Place, Projection, Sql, typed_tables
from store import Aggregate, Event, EventType, EventTypes, SnapshotPolicy, open_store


class Lent(msgspec.Struct, frozen=True):
    reader: str
    days: int


class Returned(msgspec.Struct, frozen=True):
    reader: str


TYPES = EventTypes(EventType("Lent", Lent), EventType("Returned", Returned))


def lend(row: dict[str, Any] | None, event: Lent, place: Place) -> dict[str, Any]:
    return {"book": place.stream_id, "reader": event.reader}


def give_back(row: dict[str, Any] | None, event: Returned, place: Place) -> None:
    return None


def book(event: Any, place: Place) -> str:
    return place.stream_id


def day(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(day=pl.col("recorded_at").dt.date())


def count(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    rows = pl.concat([current.select("day", "loans"), day(events).with_columns(loans=pl.lit(1, pl.Int64))])
    return rows.group_by("day").sum()


def lent_days(days: int, event: Any) -> int:
    return days + (event.days if isinstance(event, Lent) else 0)


READERS = Projection(
    name="readers",
    version=1,
    key=("reader",),
    columns=pa.schema([pa.field("reader", pa.string(), metadata={"description": "By name."}), ("loans", pa.int64()), ("last_book", pa.string())]),
    types=("Lent",),
    form=Sql(
        "select data ->> 'reader' as reader, 1 as loans, stream_id as last_book, position from events", {"loans": "count", "last_book": "last"}
    ),
)
ON_LOAN = Projection(
    name="on_loan",
    version=1,
    key=("book",),
    by_stream=True,
    columns=pa.schema({"book": pa.string(), "reader": pa.string()}),
    event_types=TYPES,
    form=Handlers(on={Lent: lend, Returned: give_back}, key=book),
)
DAYS = Projection(
    name="days",
    version=1,
    key=("day",),
    columns=pa.schema({"day": pa.date32(), "loans": pa.int64()}),
    types=("Lent",),
    form=Frame(touches=day, change=count),
)
BOOK = Aggregate(category="book", initial=0, evolve=lent_days, types=TYPES, snapshots=SnapshotPolicy(every_events=3))
PROJECTIONS = (READERS, ON_LOAN, DAYS, *typed_tables(TYPES))
domain = Domain(name="library", projections=PROJECTIONS, event_types=TYPES, aggregates=(BOOK,), owners=("team:books",))


def lent(reader: str, days: int = 14) -> Event:
    return TYPES.event(Lent(reader, days))


def append(warehouse: Path, stream_id: str, events: Sequence[Event]) -> int:
    """The head."""
    with open_store(str(warehouse), create=True) as store:
        store.append(stream_id, events)
        return store.head()


def loaded(warehouse: Path) -> dg.Definitions:
    """As Dagster loads them."""
    return definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_DOMAIN": "tests.pipelines.library:domain"}))
