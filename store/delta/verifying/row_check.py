"""The rows of one file among themselves: JSON, shard, and the order in which they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import duckdb
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from store.bulk import valid_lines
from store.delta import segment
from store.shard import ROOT

_ELSEWHERE: Final = "select stream_id from names where left(md5(stream_id), $1) <> $2 limit 1"


class Places(NamedTuple):
    """Where rows say that they belong."""

    positions: pl.DataFrame
    """position, recorded_at (microseconds)"""
    stretches: pl.DataFrame
    """The events of one stream that follow one another in a file: stream_id, first and last version, first_position, last_position."""


def texts_that_are_not_json(events: pa.Table) -> Iterator[str]:
    """What the writer's own check would refuse. All texts are parsed at once, one by one only if that fails."""
    for name in ("data", "metadata"):
        rows = events.select(["position", name]).drop_null()
        for chunk in rows[name].chunks:
            objects = pc.starts_with(chunk, "{")
            if not pc.all(objects).as_py() or valid_lines(pc.binary_join_element_wise("[", chunk, "]\n", "")) != len(chunk):
                yield from _not_objects(name, rows)
                break


def places(events: pa.Table, after: int) -> tuple[Places, list[str]]:
    """The places of rows after that position, and what is wrong with their order in the file."""
    rows = pl.DataFrame(
        {
            "stream_id": pl.from_arrow(events["stream_id"]),
            "version": pl.from_arrow(events["version"]),
            "position": pl.from_arrow(events["position"]),
            "recorded_at": pl.from_arrow(events["recorded_at"].cast(pa.int64())),
        }
    )
    problems = []
    section = (rows["position"] - 1) // segment.SECTION_ROWS
    if not ((section > section.shift(1)) | (section == section.shift(1)) & (rows["stream_id"] >= rows["stream_id"].shift(1))).all():
        if not (rows["position"] > rows["position"].shift(1)).all():
            problems.append("its rows are neither in log order nor sorted by section and stream")
        rows = rows.sort("stream_id", "position")
    if rows["position"].min() <= after:
        rows = rows.filter(pl.col("position") > after)
    section = (rows["position"] - 1) // segment.SECTION_ROWS
    begins = rows["stream_id"].ne_missing(rows["stream_id"].shift(1)) | section.ne_missing(section.shift(1))
    problems += _broken_streams(rows, begins)
    return Places(rows.select("position", "recorded_at"), _stretches(rows, begins)), problems


def streams_elsewhere(duck: duckdb.DuckDBPyConnection, names: Sequence[pl.Series], shard: str) -> Iterator[str]:
    """A stream whose hash does not begin with the shard's digits."""
    digits = shard.removeprefix(ROOT)
    if not digits or not names:
        return
    with duck.cursor() as cursor:
        cursor.register("names", pa.table({"stream_id": pl.concat(names).to_arrow()}))
        found = cursor.execute(_ELSEWHERE, [len(digits), digits]).fetchone()
    if found:
        yield f"it holds stream {found[0]!r}, which does not belong to shard {shard}"


def _broken_streams(rows: pl.DataFrame, begins: pl.Series) -> Iterator[str]:
    """The first place where versions and positions of a stream do not go up together."""
    steps = (rows["version"].diff() == 1) & (rows["position"].diff() > 0)
    broken = (~begins & ~steps).arg_true()
    if len(broken):
        stream_id, version, position, _ = rows.row(broken[0])
        yield f"version {version:,} of stream {stream_id!r} at position {position:,} does not follow from the one before it"


def _stretches(rows: pl.DataFrame, begins: pl.Series) -> pl.DataFrame:
    firsts, lasts = begins.arg_true(), begins.shift(-1, fill_value=True).arg_true()
    return pl.DataFrame(
        {
            "stream_id": rows["stream_id"].gather(firsts),
            "first": rows["version"].gather(firsts),
            "last": rows["version"].gather(lasts),
            "first_position": rows["position"].gather(firsts),
            "last_position": rows["position"].gather(lasts),
        }
    )


def _not_objects(name: str, rows: pa.Table) -> Iterator[str]:
    for position, text in zip(rows["position"].to_pylist(), rows[name].to_pylist(), strict=True):
        try:
            if isinstance(orjson.loads(text), dict):
                continue
        except orjson.JSONDecodeError:
            pass
        yield f"the {name} at position {position:,} is not a JSON object"
        return
