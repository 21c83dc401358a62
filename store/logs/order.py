"""The one order over several logs: by the time of recording, then by the log, then by the position in it.

Times never decrease within a log, so this keeps the order of each. And it never changes: the n-th event of all stays the n-th, as only the events
are counted before which none can come any more. What a log has promised (`Member.promised_at`) tells which these are.

A place among all is written as a list: how many events of each log come before it or stand there, for logs in the order of `ranked`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol, TypeVar

import polars as pl
import pyarrow as pa

STEP: Final = 1 << 18
"""So many times are in memory at once, over all logs."""
SHORTEST_STEP: Final = 1 << 10
SOUGHT: Final = 1 << 20
"""Among so many events a place is looked for by their times."""


class Bounds:
    """Between which positions the last one recorded by a microsecond is, by what files say: (first, last position, recorded from, until) each."""

    def __init__(self, files: Collection[tuple[int, int, int, int]], head: int) -> None:
        firsts, lasts = sorted((first, begin) for first, _, begin, _ in files), sorted((last, end) for _, last, _, end in files)
        self._firsts, self._begins = [first for first, _ in firsts], [begin for _, begin in firsts]
        self._lasts, self._ends = [last for last, _ in lasts], [end for _, end in lasts]
        self._head = head

    def at_least(self, moment: int) -> int:
        """Times never decrease, so neither do those of files in order of position."""
        there = bisect_right(self._ends, moment)
        return self._lasts[there - 1] if there else 0

    def at_most(self, moment: int) -> int:
        there = bisect_right(self._begins, moment)
        return self._firsts[there] - 1 if there < len(self._firsts) else self._head


class Timed(Protocol):
    """A log as far as its order among others goes; positions and microseconds."""

    @property
    def generation(self) -> int: ...

    @property
    def sealed(self) -> tuple[str, ...]: ...

    @property
    def promised_at(self) -> int: ...

    def recorded_by(self, moment: int) -> int: ...

    def bounds(self) -> Bounds: ...

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
    bounds = [log.bounds() for log in logs]
    # Of the events by `low` fewer are wanted than `position`, and not all of those by `high`: by what the files say of themselves alone, at first.
    low = _last(lambda moment: sum(one.at_most(moment) for one in bounds) < position, -1, by)
    high = 1 + _last(lambda moment: sum(one.at_least(moment) for one in bounds) < position, low, by)
    after, until = [one.at_least(low) for one in bounds], [one.at_most(high) for one in bounds]
    while high - low > 1 and sum(until) - sum(after) > SOUGHT:
        middle = (low + high) // 2
        there = [log.recorded_by(middle) for log in logs]
        low, high, after, until = (middle, high, there, until) if sum(there) < position else (low, middle, after, there)
    # All before `after` belongs to it, so what is missing are the first ones of the rest.
    missing = position - sum(after)
    for frame in in_order(logs, after, until):
        for rank, count in frame.head(missing)["rank"].value_counts().rows():
            after[rank] += count
        if (missing := missing - min(missing, len(frame))) == 0:
            break
    return after


def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The last moment from `low` to `high` for which it holds, as it does for `low`."""
    while high > low:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


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
