"""The one order over several logs: by the time of recording, then by the log, then by the position in it.

Times never decrease within a log, so this keeps the order of each. And it never changes: the n-th event of all stays the n-th, as only the events
are counted before which none can come any more. What a log has promised (`Member.promised_at`) tells which these are.

A place among all is written as a list: how many events of each log come before it or stand there, for logs in the order of `ranked`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import polars as pl
import pyarrow as pa

STEP: Final = 1 << 18
"""So many times are in memory at once, over all logs."""
SHORTEST_STEP: Final = 1 << 10


class Timed(Protocol):
    """A log as far as its order among others goes; positions and microseconds."""

    @property
    def generation(self) -> int: ...

    @property
    def sealed(self) -> tuple[str, ...]: ...

    @property
    def promised_at(self) -> int: ...

    def recorded_by(self, moment: int) -> int: ...

    def times(self, after: int, until: int) -> pa.ChunkedArray: ...


class Cut(NamedTuple):
    """All events up to that time, of the logs up to that rank; of the others, all before that time."""

    recorded_at: int
    rank: int

    def moment(self, rank: int) -> int:
        return self.recorded_at if rank <= self.rank else self.recorded_at - 1


T = TypeVar("T", bound=Timed)


def ranked(logs: Iterable[T]) -> list[T]:
    """Where times are equal, a log that was split comes before its parts, and what it holds before what they hold. `logs`: by their names."""
    return sorted(logs, key=lambda log: log.generation)


def settled(logs: Sequence[Timed]) -> Cut:
    """Before this no event can come any more."""
    return min(Cut(log.promised_at, rank) for rank, log in enumerate(logs) if not log.sealed)


def counted(logs: Sequence[Timed], cut: Cut) -> list[int]:
    """The place of that cut."""
    return [log.recorded_by(cut.moment(rank)) for rank, log in enumerate(logs)]


def place_of(logs: Sequence[Timed], position: int, by: int) -> list[int]:
    """Where the first `position` events of all end, which were all recorded by that microsecond."""
    low, high = _enclosed(logs, position, by)
    while high - low > 1:                          # fewer than `position` are recorded by `low`, enough by `high`
        middle = (low + high) // 2
        low, high = (middle, high) if _total(logs, middle) < position else (low, middle)
    place = [log.recorded_by(low) for log in logs]
    for rank, log in enumerate(logs):
        place[rank] += min(position - sum(place), log.recorded_by(high) - place[rank])
    return place


def _enclosed(logs: Sequence[Timed], position: int, by: int) -> tuple[int, int]:
    """Places that are asked for are mostly near the end, and far from it no look costs more than another."""
    step, high = 1_000, by
    while (low := max(-1, high - step)) >= 0 and _total(logs, low) >= position:
        step, high = 4 * step, low
    return low, high


def _total(logs: Sequence[Timed], moment: int) -> int:
    return sum(log.recorded_by(moment) for log in logs)


def in_order(logs: Sequence[Timed], after: Sequence[int], until: Sequence[int]) -> Iterator[pl.DataFrame]:
    """Between two places, the rank of the log and the position in it, event by event, in frames of bounded size."""
    at, step = list(after), max(STEP // len(logs), SHORTEST_STEP)
    held = [pl.Series([], dtype=pl.Int64) for _ in logs]
    while any(here < end for here, end in zip(at, until, strict=True)):
        for rank, log in enumerate(logs):
            if not len(held[rank]) and at[rank] < until[rank]:
                held[rank] = pl.Series(pl.from_arrow(log.times(at[rank], min(at[rank] + step, until[rank]))))
        more = [rank for rank, times in enumerate(held) if at[rank] + len(times) < until[rank]]
        cut = min((Cut(held[rank][-1], rank) for rank in more), default=None)
        taken = [len(times) if cut is None else times.search_sorted(cut.moment(rank), "right") for rank, times in enumerate(held)]
        frames = [_frame(held[rank][:count], rank, at[rank]) for rank, count in enumerate(taken) if count]
        yield pl.concat(frames).sort("recorded_at", "rank", "position").select("rank", "position")
        for rank, count in enumerate(taken):
            at[rank], held[rank] = at[rank] + count, held[rank][count:]


def _frame(times: pl.Series, rank: int, after: int) -> pl.DataFrame:
    positions = pl.int_range(after + 1, after + len(times) + 1, dtype=pl.Int64, eager=True)
    return pl.DataFrame({"recorded_at": times, "position": positions}).with_columns(rank=pl.lit(rank, pl.Int32))
