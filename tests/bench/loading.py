"""Loads of aggregates, cold and remembered, one and many, and what folding takes by several ways."""

from __future__ import annotations

import statistics
from functools import reduce
from typing import Any, Final

import duckdb
import orjson
import pyarrow as pa

from store import EventStore, load, load_many, open_store
from tests.bench.big_log import BigLog
from tests.bench.order import LINES, TYPES, Order, evolve, line, load_cold, orders
from tests.bench.run import Run, ms, percentile, seconds
from tests.bench.workload import LONG_STREAM

SAMPLES: Final = 200
FEW: Final = 200
"""Of the aggregates that are loaded together, so many are loaded one by one for comparison."""


def section(run: Run) -> None:
    big = run.big_log()
    _loads(run, big)
    _folds(run, big)
    _together(run, big)


def _loads(run: Run, big: BigLog) -> None:
    lengths = (10, 1_000, big.long_stream)
    run.table(f"load an aggregate among {big.events:,} events", "cold p50 ms", "cold p99 ms", "cached p50 ms", "cached p99 ms")
    with open_store(str(big.place)) as store:
        if not store.stream_version("order-thousand"):
            store.append("order-thousand", [TYPES.event(line(number)) for number in range(1_000)])
    for length, ids in zip(lengths, (big.picked(SAMPLES), ["thousand"] * 20, ["big"] * 5), strict=True):
        cold = [load_cold(big.place, id, length) for id in ids[:20]]
        with open_store(str(big.place)) as store:
            aggregate = orders()
            load(store, aggregate, ids[0])
            cached = [seconds(lambda: load(store, aggregate, ids[0])) for _ in range(SAMPLES)]  # noqa: B023
        spent = (statistics.median(cold), percentile(cold, 0.99), statistics.median(cached), percentile(cached, 0.99))
        run.row(f"{length:,} events", *map(ms, spent))


def _folds(run: Run, big: BigLog) -> None:
    count = big.long_stream
    run.table(f"fold {count:,} events of one stream", "ms", "of which reading and decoding")
    with open_store(str(big.place)) as store:
        events = store.read_stream(LONG_STREAM)
        objects = TYPES.decode(events)
        reading = run.median(lambda: TYPES.decode(store.read_stream(LONG_STREAM)))
        run.row("typed objects", ms(reading + run.median(lambda: reduce(evolve, objects, Order()))), ms(reading))
        raw = run.median(lambda: [orjson.loads(text) for text in store.read_stream(LONG_STREAM)["data"].to_pylist()])
        run.row("JSON objects", ms(run.median(lambda: _fold_json(store))), ms(raw))
        columns = _columns(store)
        making = run.median(lambda: _columns(store))
        run.row("typed columns, made of JSON", ms(making + run.median(lambda: _fold_columns(columns))), ms(making))
        run.row("typed columns, there already", ms(run.median(lambda: _fold_columns(columns))), "–")
        run.row("SQL, out of JSON text", ms(run.median(lambda: _fold_sql(store))), "–")
        with duckdb.connect() as connection:
            connection.register("typed", columns)
            fold = "select count(*), max_by(channel, version), sum(amount) from typed"
            run.row("SQL, of typed columns", ms(run.median(lambda: connection.sql(fold).fetchall())), "–")


def _fold_json(store: EventStore) -> int:
    total = 0
    for text in store.read_stream(LONG_STREAM)["data"].to_pylist():
        total += orjson.loads(text)["amount"]
    return total


def _columns(store: EventStore) -> pa.Table:
    """The stream as a table of typed columns would hold it."""
    events = store.read_stream(LONG_STREAM)
    return pa.concat_tables(TYPES.columns(events, name).select(["version", "channel", "amount"]) for name in LINES).sort_by("version")


def _fold_columns(columns: pa.Table) -> Order:
    """Row by row in Python, over values that need no decoding: what a fold costs that SQL cannot say."""
    state = Order()
    for channel, amount in zip(columns["channel"].to_pylist(), columns["amount"].to_pylist(), strict=True):
        state = Order(state.events + 1, channel, state.total + amount)
    return state


def _fold_sql(store: EventStore) -> Any:
    fold = f"select count(*), max_by(data->>'$.channel', version), sum((data->>'$.amount')::bigint) from stream('{LONG_STREAM}')"
    return store.sql(fold).fetchall()


def _together(run: Run, big: BigLog) -> None:
    count = min(10_000, big.orders // 2)
    ids = big.picked(count)
    with open_store(str(big.place)) as store:
        load(store, orders(), ids[0])
        many_s = seconds(lambda: load_many(store, orders(), ids))
        one_s = seconds(lambda: [load(store, orders(), id) for id in ids[:FEW]]) / min(FEW, count) * count
    run.table(f"load {count:,} aggregates of ten events", "s", "of one by one")
    run.row("one by one (cold)", f"{one_s:.2f}", "1.00")
    run.row("load_many", f"{many_s:.2f}", f"{many_s / one_s:.3f}")
