"""Reading several logs as one: the wanted events of each, at their places among all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa

from store.delta.segment import SECTION_ROWS
from store.logs.member import Member
from store.logs.order import in_order
from store.schema import EVENTS
from store.selection import Selection

BATCH_ROWS = 65_536


def read_forward(members: Sequence[Member], after: Sequence[int], until: Sequence[int], wanted: Selection) -> Iterator[pa.Table]:
    """Between two places; `position` is that among all. A section of each log is in memory."""
    rows, position = [_Rows(member, at, end, wanted) for member, at, end in zip(members, after, until, strict=True)], sum(after)
    for places in in_order(members, after, until):
        numbered = places.with_columns(among_all=pl.int_range(position + 1, position + len(places) + 1, dtype=pl.Int64))
        parts = [rows[rank].take(own) for (rank,), own in numbered.partition_by("rank", as_dict=True).items() if isinstance(rank, int)]
        yield pa.concat_tables([EVENTS.empty_table(), *parts]).sort_by("position")
        position += len(places)


def read_backward(read: Callable[[int, int], Iterator[pa.Table]], after: int, until: int, limit: int | None) -> Iterator[pa.Table]:
    """The same from the end, by reads of growing stretches. `limit`: so many events are enough, if it is known beforehand."""
    size = BATCH_ROWS if limit is None else max(1, min(limit, BATCH_ROWS))
    while until > after:
        begin = max(after, until - size)
        events = pa.concat_tables([EVENTS.empty_table(), *read(begin, until)])
        yield events.take(pa.array(range(len(events) - 1, -1, -1), pa.int64()))
        until, size = begin, min(2 * size, 4 * BATCH_ROWS)


class _Rows:
    """The wanted rows of one log, section by section."""

    def __init__(self, member: Member, after: int, until: int, wanted: Selection) -> None:
        self._member, self._read_to, self._until, self._wanted = member, after, until, wanted
        self._held = EVENTS.empty_table()
        # Shards that it does not hold are not read for.
        self._none = wanted.shards is not None and not any(member.name.meets(shard) for shard in wanted.shards)

    def take(self, places: pl.DataFrame) -> pa.Table:
        """Those at these positions, which follow one another; numbered by their places among all."""
        first, last = places["position"][0], places["position"][-1]
        while self._read_to < last and not self._none:
            self._read_on()
        count = pl.Series(pl.from_arrow(self._held["position"])).search_sorted(last, "right")
        rows, self._held = self._held.slice(0, count), self._held.slice(count)
        among_all = places["among_all"].gather(pl.Series(pl.from_arrow(rows["position"])) - first)
        return rows.set_column(0, EVENTS.field("position"), pa.chunked_array([among_all.to_arrow()], pa.int64()))

    def _read_on(self) -> None:
        end = min((self._read_to // SECTION_ROWS + 1) * SECTION_ROWS, self._until)
        new = self._member.reads.rows(replace(self._wanted, after=self._read_to, until=end))
        self._held, self._read_to = pa.concat_tables([self._held, new]) if len(self._held) else new, end
