"""Where an event stands: all that the log says of it beside its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Place:
    """What is not asked for costs nothing: a column becomes Python objects when the first event of a batch is asked for it."""

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Columns, row: int) -> None:
        self._columns, self._row = columns, row

    @property
    def position(self) -> int:
        return int(self._columns["position"][self._row])

    @property
    def stream_id(self) -> str:
        return self._columns["stream_id"][self._row]  # type: ignore[no-any-return]

    @property
    def version(self) -> int:
        return int(self._columns["version"][self._row])

    @property
    def event_id(self) -> str:
        return self._columns["event_id"][self._row]  # type: ignore[no-any-return]

    @property
    def type(self) -> str:
        return self._columns["type"][self._row]  # type: ignore[no-any-return]

    @property
    def occurred_at(self) -> datetime:
        return self._columns["occurred_at"][self._row]  # type: ignore[no-any-return]

    @property
    def recorded_at(self) -> datetime:
        return self._columns["recorded_at"][self._row]  # type: ignore[no-any-return]

    @property
    def correlation_id(self) -> str | None:
        return self._columns["correlation_id"][self._row]  # type: ignore[no-any-return]

    @property
    def causation_id(self) -> str | None:
        return self._columns["causation_id"][self._row]  # type: ignore[no-any-return]

    @property
    def tags(self) -> Sequence[str]:
        return self._columns["tags"][self._row]  # type: ignore[no-any-return]


class Places(Sequence[Place]):
    """Of the events of a batch. Each is made when it is come by: a hundred thousand that live on would keep Python's collector busy."""

    def __init__(self, events: pa.Table) -> None:
        self.columns, self._count = Columns(events), len(events)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: Any) -> Any:
        return Place(self.columns, range(self._count)[row])

    def __iter__(self) -> Iterator[Place]:
        columns = self.columns
        return (Place(columns, row) for row in range(self._count))


class Columns(dict[str, list[Any]]):
    """Columns of a batch as lists, made when they are asked for."""

    def __init__(self, events: pa.Table) -> None:
        super().__init__()
        self._events = events

    def __missing__(self, name: str) -> list[Any]:
        column = self._events[name]
        if pa.types.is_timestamp(column.type):
            # Neighbours often share a time, and Arrow's own way is four times as slow.
            instants = column.cast(pa.int64()).to_pylist()
            moments = {instant: _EPOCH + timedelta(microseconds=instant) for instant in set(instants)}
            self[name] = [moments[instant] for instant in instants]
        else:
            self[name] = column.to_pylist()
        return self[name]
