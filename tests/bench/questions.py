"""Questions in SQL over the big log, beside the same asked of plain DuckDB on the same Parquet files."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import duckdb

from projections import ServingModel, WarehouseSql, fill, typed_table
from store import EventStore, open_store
from tests.bench.big_log import BigLog
from tests.bench.order import TYPES
from tests.bench.run import Run, ms, seconds
from tests.bench.table_files import live_files

AMOUNTS: Final = typed_table(TYPES, "OrderPlaced")
BY_TYPE: Final = "select type, count(*), sum((data ->> '$.amount')::bigint) from {events} where {range} group by type order by type"
LAST: Final = "select last, count(*) from (select arg_max(type, version) as last from {events} group by stream_id) group by last order by last"


class Question(NamedTuple):
    """The same in our words, and over all files; `as_of`: of ours, which plain DuckDB is told by a condition."""

    ours: str
    plain: str
    as_of: int | None = None


def section(run: Run) -> None:
    big = run.big_log()
    files = live_files(big.place).paths
    with open_store(str(big.place)) as store, duckdb.connect() as plain:
        plain.execute("set TimeZone = 'UTC'")
        plain.execute("set parquet_metadata_cache = true")     # as ours
        everything = f"read_parquet({files}, hive_partitioning = false)"
        run.table(f"asked of {big.events:,} events", "ms", "plain DuckDB, same files", "ratio")
        for name, question in _questions(store, big, everything).items():
            _beside(run, name, lambda q=question: store.sql(q.ours, as_of=q.as_of), lambda q=question: plain.sql(q.plain))  # type: ignore[misc]
        _typed(run, store, str(big.place))


def _questions(store: EventStore, big: BigLog, everything: str) -> dict[str, Question]:
    stream, half = f"order-{big.picked(1)[0]}", big.events // 2
    first, last = store.sql("select min(occurred_at), max(occurred_at) from events").fetchall()[0]
    month = f"occurred_at >= timestamptz '{first + (last - first) / 2}' and occurred_at < timestamptz '{first + (last - first) * 7 / 12}'"
    one_stream = "select position, type, data from {} order by version"
    stretch = "select count(*), max(stream_id) from {}"
    return {
        "one stream, by `stream`": Question(
            one_stream.format(f"stream('{stream}')"), one_stream.format(f"{everything} where stream_id = '{stream}'")
        ),
        "1,000 positions, by `replay`": Question(
            stretch.format(f"replay({half}, {half + 1000})"), stretch.format(f"{everything} where position > {half} and position <= {half + 1000}")
        ),
        "a twelfth of the time: count, sum by type": Question(
            BY_TYPE.format(events="events", range=month), BY_TYPE.format(events=everything, range=month)
        ),
        "everything: count, sum by type": Question(BY_TYPE.format(events="events", range="true"), BY_TYPE.format(events=everything, range="true")),
        "a category as of its half: last types of its streams": Question(
            LAST.format(events="category('order')"),
            LAST.format(events=f"{everything} where split_part(stream_id, '-', 1) = 'order' and position <= {half}"),
            half,
        ),
    }


def _beside(run: Run, name: str, ours: Callable[[], Any], plain: Callable[[], Any]) -> None:
    if ours().fetchall() != plain().fetchall():
        raise AssertionError(f"{name}: plain DuckDB answers otherwise")
    rounds = [(seconds(lambda: ours().fetchall()), seconds(lambda: plain().fetchall())) for _ in range(2 * run.sizes.repeats + 1)]
    mine, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
    run.row(name, ms(mine), ms(floor), f"{mine / floor:.2f}")


def _typed(run: Run, store: EventStore, place: str) -> None:
    """A field out of JSON, and out of the typed table, both by their names in one session."""
    fill(store, ServingModel(place, AMOUNTS))
    with WarehouseSql(store, place, [AMOUNTS]) as warehouse:
        typed = f"select channel, count(*), sum(amount) from {AMOUNTS.name} group by all order by all"
        json = "select data ->> '$.channel', count(*), sum((data ->> '$.amount')::bigint) from of_type('OrderPlaced') group by all order by all"
        if warehouse.sql(typed).fetchall() != warehouse.sql(json).fetchall():
            raise AssertionError("the typed table answers otherwise than the JSON")
        json_s, typed_s = (run.median(lambda q=query: warehouse.sql(q).fetchall()) for query in (json, typed))  # type: ignore[misc]
    run.table("sum of a field by another one", "ms", "of JSON")
    run.row("out of JSON, by `of_type`", ms(json_s), "1.00")
    run.row("typed table, by its name", ms(typed_s), f"{typed_s / json_s:.2f}")
