"""Questions in SQL over the big log, beside the same asked of plain DuckDB on the same Parquet files, and of PostgreSQL on the same rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import duckdb

from projections import ServingModel, WarehouseSql, fill, typed_table
from store import EventStore, open_store
from tests.bench import postgres
from tests.bench.big_log import BigLog
from tests.bench.order import TYPES
from tests.bench.postgres import Postgres
from tests.bench.run import Run, ms, seconds
from tests.bench.table_files import live_files

AMOUNTS: Final = typed_table(TYPES, "OrderPlaced")
BY_TYPE: Final = "select type, count(*), sum((data ->> '{amount}')::bigint) from {events} where {range} group by type order by type"
LAST: Final = "select last, count(*) from (select arg_max(type, version) as last from {events} group by stream_id) group by last order by last"
LAST_IN_POSTGRES: Final = """
    select last, count(*) from (select distinct on (stream_id) type as last from events where split_part(stream_id, '-', 1) = 'order'
    and position <= {half} order by stream_id, version desc) each_one group by last order by last
"""
OF_JSON: Final = "select {channel}, count(*), sum(({amount})::bigint) from {events} group by 1 order by 1"
TYPED: Final = "select channel, count(*), sum(amount) from {events} group by 1 order by 1"


class Question(NamedTuple):
    """The same in our words, over all files, and in PostgreSQL's. `as_of`: of ours, which the others are told by a condition."""

    ours: str
    plain: str
    postgres: str
    as_of: int | None = None


def section(run: Run) -> None:
    big = run.big_log()
    files = live_files(big.place).paths
    with open_store(str(big.place)) as store, duckdb.connect() as plain:
        plain.execute("set TimeZone = 'UTC'")
        plain.execute("set parquet_metadata_cache = true")     # as ours
        everything = f"read_parquet({files}, hive_partitioning = false)"
        questions = _questions(store, big, everything)
        run.table(f"asked of {big.events:,} events", "ms", "plain DuckDB, same files", "ratio")
        for name, question in questions.items():
            _beside(run, name, lambda q=question: store.sql(q.ours, as_of=q.as_of), lambda q=question: plain.sql(q.plain))  # type: ignore[misc]
        _typed(run, store, str(big.place))
        _postgres(run, store, str(big.place), questions)


def _questions(store: EventStore, big: BigLog, everything: str) -> dict[str, Question]:
    stream, half = f"order-{big.picked(1)[0]}", big.events // 2
    # A million events have one time, that of their append: between two moments of the clock there may be none at all.
    bounds = store.sql(f"select occurred_at from events where position in ({half}, {half + big.events // 12}) order by position").fetchall()
    (since,), (until,) = bounds
    month = f"occurred_at between timestamptz '{since}' and timestamptz '{until}'"
    one_stream = "select position, type, data from {} order by version"
    stretch = "select count(*), max(stream_id) from {}"
    in_stream, in_stretch = f"stream_id = '{stream}'", f"position > {half} and position <= {half + 1000}"

    def by_type(condition: str) -> Question:
        ours, plain = (BY_TYPE.format(events=events, range=condition, amount="$.amount") for events in ("events", everything))
        return Question(ours, plain, BY_TYPE.format(events="events", range=condition, amount="amount"))

    return {
        "one stream, by `stream`": Question(
            one_stream.format(f"stream('{stream}')"),
            one_stream.format(f"{everything} where {in_stream}"),
            one_stream.format(f"events where {in_stream}"),
        ),
        "1,000 positions, by `replay`": Question(
            stretch.format(f"replay({half}, {half + 1000})"),
            stretch.format(f"{everything} where {in_stretch}"),
            stretch.format(f"events where {in_stretch}"),
        ),
        "those of a twelfth, by their time: count, sum by type": by_type(month),
        "everything: count, sum by type": by_type("true"),
        "a category as of its half: last types of its streams": Question(
            LAST.format(events="category('order')"),
            LAST.format(events=f"{everything} where split_part(stream_id, '-', 1) = 'order' and position <= {half}"),
            LAST_IN_POSTGRES.format(half=half),
            half,
        ),
    }


def _beside(run: Run, name: str, ours: Callable[[], Any], plain: Callable[[], Any]) -> None:
    if not (answer := ours().fetchall()) or answer != plain().fetchall():
        raise AssertionError(f"{name}: plain DuckDB answers otherwise")
    rounds = [(seconds(lambda: ours().fetchall()), seconds(lambda: plain().fetchall())) for _ in range(2 * run.sizes.repeats + 1)]
    mine, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
    run.row(name, ms(mine), ms(floor), f"{mine / floor:.2f}")


def _typed(run: Run, store: EventStore, place: str) -> None:
    """A field out of JSON, and out of the typed table, both by their names in one session."""
    fill(store, ServingModel(place, AMOUNTS))
    with WarehouseSql(store, place, [AMOUNTS]) as warehouse:
        json, typed = _fields()
        if warehouse.sql(typed).fetchall() != warehouse.sql(json).fetchall():
            raise AssertionError("the typed table answers otherwise than the JSON")
        json_s, typed_s = (run.median(lambda q=query: warehouse.sql(q).fetchall()) for query in (json, typed))  # type: ignore[misc]
    run.table("sum of a field by another one", "ms", "of JSON")
    run.row("out of JSON, by `of_type`", ms(json_s), "1.00")
    run.row("typed table, by its name", ms(typed_s), f"{typed_s / json_s:.2f}")


def _fields() -> tuple[str, str]:
    """The same sum, out of JSON and out of the typed table."""
    json = OF_JSON.format(channel="data ->> '$.channel'", amount="data ->> '$.amount'", events="of_type('OrderPlaced')")
    return json, TYPED.format(events=AMOUNTS.name)


def _postgres(run: Run, store: EventStore, place: str, questions: dict[str, Question]) -> None:
    """Each question to both in turn; PostgreSQL after all is loaded, indexed and analysed."""
    if postgres.binaries() is None:
        print("\nPostgreSQL is left out: no server is installed (apt install postgresql)")
        return
    json, typed = _fields()
    of_json = OF_JSON.format(channel="data ->> 'channel'", amount="data ->> 'amount'", events="events where type = 'OrderPlaced'")
    with postgres.server() as server, WarehouseSql(store, place, [AMOUNTS]) as warehouse:
        copy_s, index_s = server.load(store)
        channel, amount = "data ->> 'channel' as channel", "(data ->> 'amount')::bigint as amount"
        server.run(f"create table {AMOUNTS.name} as select position, {channel}, {amount} from events where type = 'OrderPlaced'")
        server.run(f"vacuum analyze {AMOUNTS.name}")
        [(size_bytes,)] = server.rows("select pg_total_relation_size('events')")
        took = f"loaded in {copy_s:.0f} s, indexed in {index_s:.0f} s, {size_bytes / store.head():.0f} bytes an event"
        print(f"\nPostgreSQL {server.version()}: {took}")
        run.table("asked of the same rows", "ms", "PostgreSQL, JSONB", "ratio")
        for name, question in questions.items():
            _against(run, name, lambda q=question: store.sql(q.ours, as_of=q.as_of), server, question.postgres)  # type: ignore[misc]
        _against(run, "a field out of JSON, of one type", lambda: store.sql(json), server, of_json)
        _against(run, "the same out of a typed table", lambda: warehouse.sql(typed), server, TYPED.format(events=AMOUNTS.name))


def _against(run: Run, name: str, ours: Callable[[], Any], server: Postgres, theirs: str) -> None:
    if not (answer := ours().fetchall()) or postgres.alike(answer) != server.rows(theirs):
        raise AssertionError(f"{name}: PostgreSQL answers otherwise")
    rounds = [(seconds(lambda: ours().fetchall()), server.seconds(theirs)) for _ in range(run.sizes.repeats)]
    mine, their = (statistics.median(column) for column in zip(*rounds, strict=True))
    run.row(name, ms(mine), ms(their), f"{mine / their:.2f}")
