"""An event in its two lives: `Event` is one you made, `RecordedEvent` one that has a place in the log."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import pyarrow as pa
import uuid_utils

from store.times import moment

if TYPE_CHECKING:
    from store.privacy.personal import Personal

Json = Mapping[str, Any] | bytes


def new_event_id() -> str:
    """A UUIDv7: unique, and ordered by time, so that ids compress well."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Event:
    """A fact to append. Keep the object to retry: its `event_id` makes a repeated append one append.

    `data`, `metadata`: a mapping that JSON can hold, or the bytes of a JSON object. `occurred_at`: business
    time, with a time zone; the store's own time when not given. `correlation_id`, `causation_id`: those of the surrounding
    `correlated` or `caused_by` when not given. `personal`: which fields of the data tell something of a person; filled in by `EventTypes.event`
    where the type says so, and never less than the store was told of the type. Checked when appended, not here.
    """

    type: str
    data: Json
    event_id: str | uuid.UUID = field(default_factory=new_event_id, kw_only=True)
    schema_version: int = field(default=1, kw_only=True)
    occurred_at: datetime | None = field(default=None, kw_only=True)
    correlation_id: str | None = field(default=None, kw_only=True)
    causation_id: str | None = field(default=None, kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)
    metadata: Json | None = field(default=None, kw_only=True)
    personal: Personal | None = field(default=None, kw_only=True, repr=False, compare=False)


class RecordedEvent(NamedTuple):
    """An event as the log holds it. `data` and `metadata` are JSON text; `payload()` decodes the data.

    A tuple in the log's order of columns, because one is made five times as fast as a frozen dataclass, and replay makes millions.
    """

    position: int
    stream_id: str
    version: int
    event_id: str
    type: str
    schema_version: int
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str | None
    causation_id: str | None
    tags: Sequence[str]
    data: str
    metadata: str | None

    def payload(self) -> Any:
        return orjson.loads(self.data)

    @classmethod
    def each(cls, events: pa.Table | pa.RecordBatch) -> Iterator[RecordedEvent]:
        """The rows of a table or batch read from the store, in their order."""
        columns = [_times(column) if pa.types.is_timestamp(column.type) else column.to_pylist() for column in events.select(cls._fields).columns]
        return map(cls._make, zip(*columns, strict=True))


def _times(column: pa.ChunkedArray | pa.Array) -> list[datetime]:
    """Neighbours were often recorded in one commit, at one time: each time is made once."""
    instants = column.cast(pa.int64()).to_pylist()
    moments = {instant: moment(instant) for instant in set(instants)}
    return [moments[instant] for instant in instants]
