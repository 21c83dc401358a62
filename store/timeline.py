"""A timeline: events, of one stream or of several, shown one below the other with the time between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from store.display import Cell, Display, brief, ends
from store.errors import InvalidEventError
from store.husk import erasure_of

_NEEDED: Final = ("position", "stream_id", "version", "type", "occurred_at", "data")
_MINUTE: Final = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Timeline:
    """Any events in the columns of the log, in their order: what `read_stream` gives, `read_all`, a query, or `why`.

        Timeline(store.read_stream("aircraft-N14228"))
        Timeline(store.sql("from conversation('journey-7')").to_arrow_table())

    A notebook shows it as a table, `print` as text: the first and the last ten events, times in UTC. InvalidEventError: columns are missing.
    """

    events: pa.Table

    def __post_init__(self) -> None:
        if lacking := [name for name in _NEEDED if name not in self.events.column_names]:
            problem = f"have no {', '.join(lacking)}"
            raise InvalidEventError("events", self.events.column_names, problem, "give events as the store reads them, with all columns")

    def __len__(self) -> int:
        return len(self.events)

    def __repr__(self) -> str:
        return self._display().text()

    def _repr_html_(self) -> str:
        return self._display().html()

    def _display(self) -> Display:
        shown, left_out = ends(len(self))
        rows = self.events.select(_NEEDED).take(pa.array(shown, pa.int64())).to_pylist()
        before = self.events["occurred_at"].take(pa.array([number - 1 if number else None for number in shown], pa.int64())).to_pylist()
        columns = ["version", "occurred at", "since", "type", "data"]
        if self._is_of_several():
            columns[:1] = ["position", "stream", "version"]
        cells = [_cells(row, since) for row, since in zip(rows, before, strict=True)]
        return Display(
            title=self._title(),
            columns=columns,
            rows=[[Cell(row[name]) for name in columns] for row in cells],
            left_out=left_out,
            numbers=("position", "version", "since"),
        )

    def _is_of_several(self) -> bool:
        return len(self) > 0 and pc.count_distinct(self.events["stream_id"]).as_py() > 1

    def _title(self) -> str:
        if not len(self):
            return "no events"
        streams, times = self.events["stream_id"], pc.min_max(self.events["occurred_at"]).as_py()
        of = f"of {pc.count_distinct(streams).as_py():,} streams" if self._is_of_several() else f"of {streams[0]}"
        place = "position" if self._is_of_several() else "version"
        within = pc.min_max(self.events[place]).as_py()
        places = f"{place}s {within['min']:,} to {within['max']:,}" if len(self) > 1 else f"{place} {within['min']:,}"
        when = dict.fromkeys(f"{time.astimezone(UTC):{_MINUTE}}" for time in times.values())
        return f"{len(self):,} event{'s' if len(self) > 1 else ''} {of} · {places} · {' to '.join(when)} UTC"


def _cells(row: dict[str, Any], before: datetime | None) -> dict[str, str]:
    return {
        "position": f"{row['position']:,}",
        "stream": row["stream_id"],
        "version": f"{row['version']:,}",
        "occurred at": brief(row["occurred_at"]),
        "since": "" if before is None else span(row["occurred_at"] - before),
        "type": row["type"],
        "data": brief(payload_of(row["data"])),
    }


def payload_of(data: str) -> Any:
    """What JSON text says; the text itself, if it is none; in a word, that it was erased."""
    if erasure_of(data) is not None:
        return "(erased)"
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data


def span(between: timedelta) -> str:
    """A length of time in its two largest units, such as 1 h 50 min; − before one that goes back."""
    milliseconds = abs(between) // timedelta(milliseconds=1)
    sign = "−" if between < timedelta() else "+"
    if milliseconds < 10_000:
        return f"{sign}{milliseconds} ms" if milliseconds < 1_000 else f"{sign}{milliseconds / 1000:.1f} s"
    days, hours, minutes, seconds = (milliseconds // per % of for per, of in ((86_400_000, 10**9), (3_600_000, 24), (60_000, 60), (1_000, 60)))
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next(number for number, (count, _) in enumerate(parts) if count)
    return sign + " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)
