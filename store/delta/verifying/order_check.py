"""The order over all files: positions dense, times never decreasing, versions of each stream one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

RANGE_ROWS: Final = 1 << 20
"""So many positions are sorted at once."""
PARTS: Final = 16
"""So many parts of all streams are sorted one after the other."""
_GAPS: Final = 3
"""So many gaps of one range are told."""
_SEED: Final = 0
_NO_HEADS: Final = pl.DataFrame(schema={"key": pl.UInt64, "last": pl.Int64, "last_position": pl.Int64})


class Order:
    """Fed with the places of one range of positions after the other. Holds 24 bytes a stream, of all streams there are."""

    def __init__(self) -> None:
        self.last = 0
        """The position up to which the log was seen."""
        self._recorded_at = -(2**63)
        self._whole = True
        self._heads: dict[int, pl.DataFrame] = {}

    def parted(self) -> Order:
        """For a log that goes on from here: its positions begin anew, its times and the versions of its streams do not."""
        order = Order()
        order._recorded_at, order._whole = self._recorded_at, self._whole
        order._heads = {part: heads.with_columns(last_position=pl.lit(0, pl.Int64)) for part, heads in self._heads.items()}
        return order

    def skip(self, last: int) -> None:
        """Positions up to `last` could not all be read: from here on, versions need only go up."""
        self.last, self._whole = max(self.last, last), False

    def follow_positions(self, rows: pl.DataFrame, until: int) -> Iterator[tuple[str, str]]:
        """Take the rows (position, recorded_at) that come next up to `until`, in any order; (where, problem) for what is wrong."""
        lowest, highest = rows["position"].min(), rows["position"].max()
        if lowest <= self.last:
            yield _named(rows["position"].filter(rows["position"] <= self.last)), "stands in a second file"
        if highest > until:
            yield _named(rows["position"].filter(rows["position"] > until)), f"lies behind the last position of its files by the log, {until:,}"
        if lowest <= self.last or highest > until:
            rows = rows.filter(pl.col("position").is_between(self.last + 1, until))
        if len(rows) <= RANGE_ROWS:
            yield from self._follow_range(rows.sort("position"))
        else:
            for number in (rows["position"] // RANGE_ROWS).unique().sort():
                yield from self._follow_range(rows.filter(pl.col("position") // RANGE_ROWS == number).sort("position"))
        if self.last < until:
            yield _span(self.last + 1, until), "is in no file"
        self.last = until

    def follow_streams(self, stretches: pl.DataFrame) -> Iterator[tuple[str, str]]:
        """Take the stretches (see `Places`) of the same rows."""
        keyed = stretches.with_columns(key=pl.col("stream_id").hash(_SEED)).with_columns(part=pl.col("key") % PARTS)
        for (part,), new in keyed.partition_by("part", include_key=False, as_dict=True).items():
            yield from self._follow_part(part, new)

    def _follow_part(self, part: int, new: pl.DataFrame) -> Iterator[tuple[str, str]]:
        """Streams whose keys begin alike: what sorting takes of memory is a fraction then."""
        old = self._heads.get(part, _NO_HEADS)
        rows = pl.concat([new, old.with_columns(first_position="last_position")], how="diagonal").sort("key", "first_position")
        again = rows["key"].eq_missing(rows["key"].shift(1))
        last, last_position = rows["last"].shift(1), rows["last_position"].shift(1)
        follows = (rows["first"] == last + 1 if self._whole else rows["first"] > last) & (rows["first_position"] > last_position)
        begins = rows["first"] == 1 if self._whole else rows["first"] > 0
        broken = rows["first"].is_not_null() & ~((again & follows) | (~again & begins))
        if broken.any():
            stream_id, first, position = rows.filter(broken).select("stream_id", "first", "first_position").row(0)
            yield f"position {position:,}", f"version {first:,} of stream {stream_id!r} does not follow from the one before it"
        ends = rows["key"].ne_missing(rows["key"].shift(-1))
        self._heads[part] = rows.filter(ends).select("key", "last", "last_position")

    def _follow_range(self, rows: pl.DataFrame) -> Iterator[tuple[str, str]]:
        """Take rows in order of position."""
        if not len(rows):
            return
        positions, times = rows["position"], rows["recorded_at"]
        steps = positions - positions.shift(1, fill_value=self.last)
        if (steps == 0).any():
            yield _named(positions.filter(steps == 0)), "stands more than once"
        for behind, step in zip(positions.filter(steps > 1).head(_GAPS), steps.filter(steps > 1).head(_GAPS), strict=True):
            yield _span(behind - step + 1, behind - 1), "is in no file"
        back = positions.filter(times < times.shift(1, fill_value=self._recorded_at))
        if len(back):
            yield _span(back[0], back[0]), "was recorded before the event in front of it"
        self.last, self._recorded_at = positions[-1], max(self._recorded_at, times[-1])


def _named(positions: pl.Series) -> str:
    """One position, or the first and the last of several and how many they are."""
    first, last, count = positions.min(), positions.max(), positions.n_unique()
    return _span(first, last) + ("" if last - first + 1 == count else f", {count:,} of them,")


def _span(first: int, last: int) -> str:
    return f"position {first:,}" if first == last else f"positions {first:,} to {last:,}"
