"""Read models: how fast they are filled and caught up in each form, and what a small change of a small and of a large one costs."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from projections import (
    CaughtUp,
    Frame,
    Handlers,
    MemoryModel,
    Model,
    Place,
    Projection,
    ReadModel,
    Sail,
    Sql,
    as_views,
    catch_up,
    fill,
    fill_on_sail,
    typed_table,
)
from store import EventStore, open_store
from tests.bench.order import LINES, TYPES
from tests.bench.run import Measure, Run, ms, seconds

CAUGHT_UP: Final = 10
"""Catching up is measured over this part of the log: the last one, on rows of what came before."""
MODELS: Final = (1, 100, 1000)
"""Rows of the read models that are changed, in ten thousands."""
TOUCHED: Final = (1, 10, 100, 1_000)
COLUMNS: Final = pa.schema({"customer": pa.string(), "events": pa.int64(), "amount": pa.int64(), "largest": pa.int64()})


class Customer(msgspec.Struct):
    """A row, as handlers see it."""

    customer: str
    events: int = 0
    amount: int = 0
    largest: int = 0


def _count(row: Customer | None, event: Any, place: Place) -> Customer:
    row = row or Customer(event.customer_id)
    row.events, row.amount, row.largest = row.events + 1, row.amount + event.amount, max(row.largest, event.amount)
    return row


def _customer(event: Any, place: Place) -> str:
    return str(event.customer_id)


def _each(events: pl.DataFrame) -> pl.DataFrame:
    said = pl.col("data").str.json_decode(pl.Struct({"customer_id": pl.String, "amount": pl.Int64}))
    told = events.select(said.alias("said")).unnest("said")
    return told.select(customer="customer_id", events=pl.lit(1, pl.Int64), amount="amount", largest="amount")


def _customers(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([current, _each(events)]).group_by("customer").agg(pl.sum("events", "amount"), pl.max("largest"))


_SELECT: Final = """
    select data ->> '$.customer_id' as customer, 1 as events, (data ->> '$.amount')::bigint as amount, amount as largest from events
"""
SQL: Final = Sql(_SELECT, {"events": "count", "amount": "sum", "largest": "max"})
FORMS: Final = {
    "SQL": SQL,
    "frame": Frame(touches=_each, change=_customers),
    "handlers": Handlers(on=dict.fromkeys(LINES.values(), _count), key=_customer, row=Customer),
}


def by_customer(name: str, form: Any) -> Projection:
    """Fifty thousand rows, which all change all the time."""
    event_types = TYPES if isinstance(form, Handlers) else None
    return Projection(name=name, version=1, key=("customer",), columns=COLUMNS, event_types=event_types, form=form)


def section(run: Run) -> None:
    big = run.big_log()
    with open_store(str(big.place)) as store:
        _rates(run, store)
        _engines(run, store, str(big.place))
        _typed(run, store)
    _small_changes(run)


def _rates(run: Run, store: EventStore) -> None:
    head = store.head()
    before = head - head // CAUGHT_UP
    run.table(f"read model of 50,000 rows, {head:,} events", "rebuild, events/s", f"catch up with the last {head - before:,}, events/s")
    for name, form in FORMS.items():
        projection = by_customer(f"by_{name.lower()}", form)
        filled = _rate(fill(store, ReadModel.under(str(run.folder()), projection)))
        model = ReadModel.under(str(run.folder()), projection)
        _begun(store, model, before)
        run.row(name, f"{filled:,.0f}", f"{_rate(catch_up(store, model)):,.0f}")


def _engines(run: Run, store: EventStore, place: str) -> None:
    """The same rows by one query of DuckDB's, and of Sail's on the same machine; each with its start, and the commit."""
    projection = by_customer("by_engine", SQL)
    here = _timed(lambda model: fill(store, model), projection)
    on_sail = _timed(lambda model: fill_on_sail(store, place, model, Sail()), projection) if find_spec("pysail") else None     # the extra `endpoint`
    ours_s, theirs_s = run.medians(here, on_sail)
    run.table(f"rebuild of the read model in SQL, {store.head():,} events", "s", "of DuckDB")
    run.row("DuckDB", f"{ours_s:.2f}", "1.00")
    if on_sail is not None:
        run.row("Sail", f"{theirs_s:.2f}", f"{theirs_s / ours_s:.2f}")


def _timed(filled: Callable[[Model], object], projection: Projection) -> Measure:
    return lambda folder: seconds(lambda: filled(ReadModel.under(str(folder), projection)))


def _typed(run: Run, store: EventStore) -> None:
    """The sum of a field by another one and the day, of the events of one type."""
    model = ReadModel.under(str(run.folder()), typed_table(TYPES, "OrderPlaced"))
    done = fill(store, model)
    of_json = "sum((data ->> '$.amount')::bigint) from events where type = 'OrderPlaced'"
    select = "select occurred_at::date as day, {} as channel, {} group by all"
    run.table(f"sum of a field by another one and the day, of {done.events:,} events", "ms", "of JSON")
    json_s = run.median(lambda: store.sql(select.format("data ->> '$.channel'", of_json)).fetchall())
    run.row("out of JSON, in the log", ms(json_s), "1.00")
    with duckdb.connect() as connection:
        as_views(connection, [model])
        query = select.format("channel", f"sum(amount) from {model.projection.name}")
        typed_s = run.median(lambda: connection.sql(query).fetchall())
    run.row("typed table", ms(typed_s), f"{typed_s / json_s:.2f}")
    run.row("filling it, events/s", f"{_rate(done):,.0f}", "–")


def _begun(store: EventStore, model: ReadModel, until: int) -> None:
    """Its rows up to there, made in memory by the form that is quickest: all of them give the same."""
    made = MemoryModel(by_customer("made", SQL))
    catch_up(store, made, 1_000_000, until=until)
    model.turn().commit(made.rows(), until)


def _rate(done: CaughtUp) -> float:
    return done.events / done.seconds


def _small_changes(run: Run) -> None:
    made = {rows: ReadModel.under(str(run.folder()), by_customer("customers", SQL)) for rows in _sizes(run)}
    merged = {}
    for rows, model in made.items():
        table = _rows(rows, range(rows))
        model.turn().commit(table, 1)
        merged[rows] = run.folder() / "merged"
        write_deltalake(str(merged[rows]), table)
    columns = [f"{touched:,} rows, ms" for touched in TOUCHED]
    run.table("a turn that reads and changes so many random rows, durable", *columns, "10 rows by deltalake's merge (no fsync), ms")
    for rows, model in made.items():
        turns = [ms(run.median(_change(model, rows, touched))) for touched in TOUCHED]
        run.row(f"of {rows:,}", *turns, ms(run.median(_merge(merged[rows], rows))))


def _sizes(run: Run) -> list[int]:
    return [min(number * 10_000, run.sizes.events) for number in MODELS]


def _change(model: Model, rows: int, touched: int) -> Callable[[], None]:
    """A turn, as a follower takes it again and again."""
    changed = _rows(rows, _random(rows, touched))

    def change() -> None:
        turn = model.turn()
        if len(turn.rows(changed.select(["customer"]))) != len(changed):
            raise AssertionError("some of the rows are not there")
        turn.commit(changed, turn.checkpoint + 1)

    change()
    return change


def _merge(place: Path, rows: int) -> Callable[[], object]:
    changed = _rows(rows, _random(rows, 10))
    merger = lambda: DeltaTable(str(place)).merge(changed, "t.customer = s.customer", source_alias="s", target_alias="t")  # noqa: E731
    return lambda: merger().when_matched_update_all().when_not_matched_insert_all().execute()


def _random(rows: int, count: int) -> range:
    """Spread over all of them."""
    return range(rows // count // 2, rows, max(1, rows // count))[:count]


def _rows(rows: int, numbers: range) -> pa.Table:
    """The customers of these numbers, of so many. Their names tell nothing of their order."""
    select = f"""
        select md5(number::varchar) as customer, number % 10 as events, number * 7 as amount, number % 1000 as largest
        from range({numbers.start}, {numbers.stop}, {numbers.step}) as numbers(number)
    """
    with duckdb.connect() as connection:
        return connection.sql(select).to_arrow_table().cast(COLUMNS)
