"""Statistics against contents: those of row groups must contain their rows, those in the log must be exact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from store.delta.actions import rfc3339, rfc3339_above
from store.schema import EVENTS
from store.times import microseconds

Bounds = dict[str, tuple[Any, Any]]
"""Column -> lowest and highest value; times as microseconds."""

BOUNDED: Final = ("position", "version", "stream_id", "type", "occurred_at", "recorded_at")
"""The columns of which somebody keeps statistics to prune by."""
_TIMES: Final = ("occurred_at", "recorded_at")


class Summary:
    """What the statistics in the log must say of the rows seen so far."""

    def __init__(self) -> None:
        self.rows = 0
        self._bounds: Bounds = {}
        self._nulls = dict.fromkeys(EVENTS.names, 0)

    def add(self, events: pa.Table, bounds: Bounds) -> None:
        self.rows += len(events)
        for name in EVENTS.names:
            self._nulls[name] += events[name].null_count
        for name, (low, high) in bounds.items():
            lowest, highest = self._bounds.get(name, (low, high))
            self._bounds[name] = min(lowest, low), max(highest, high)

    def contradictions(self, stats: str) -> Iterator[str]:
        """Where these statistics, as JSON text of the log, differ."""
        told = orjson.loads(stats)
        if told["numRecords"] != self.rows:
            yield f"it holds {self.rows:,} rows, the log says {told['numRecords']:,}"
        for side, key, rounded in ((0, "minValues", rfc3339), (1, "maxValues", rfc3339_above)):
            for name, bounds in self._bounds.items():
                value = rounded(bounds[side]) if name in _TIMES else bounds[side]
                if name in told[key] and told[key][name] != value:
                    yield f"its {'highest' if side else 'lowest'} {name} is {value!r}, the log says {told[key][name]!r}"
        for name, nulls in (told.get("nullCount") or {}).items():
            if nulls != self._nulls.get(name, nulls):
                yield f"it holds {self._nulls[name]:,} nulls in {name}, the log says {nulls:,}"


def bounds_of(events: pa.Table) -> Bounds:
    """Of at least one row."""
    return {name: _min_max(events[name]) for name in BOUNDED} if len(events) else {}


def astray(group: Any, bounds: Bounds) -> Iterator[str]:
    """Which statistics of a row group would hide rows from a reader that trusts them."""
    for number in range(group.num_columns):
        column = group.column(number)
        name = column.path_in_schema
        if name not in bounds or not column.is_stats_set or not column.statistics.has_min_max:
            continue
        low, high = _plain(column.statistics.min), _plain(column.statistics.max)
        if not (low <= bounds[name][0] and bounds[name][1] <= high):
            yield f"the statistics of its row groups say {low!r} to {high!r} of {name}, the rows hold {bounds[name][0]!r} to {bounds[name][1]!r}"


def _min_max(column: pa.ChunkedArray) -> tuple[Any, Any]:
    found = pc.min_max(column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)
    return found["min"].as_py(), found["max"].as_py()


def _plain(value: Any) -> Any:
    return microseconds(value) if hasattr(value, "tzinfo") else value
