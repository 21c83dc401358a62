"""Reads of the big log: one stream, a long stream, everything, and a report in SQL."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import orjson

from store import EventStore, RecordedEvent, open_store
from tests.bench import upkeep
from tests.bench.big_log import BigLog
from tests.bench.children import alone
from tests.bench.memory import peak_mb, resident_mb
from tests.bench.run import Run, ms, percentile, seconds
from tests.bench.table_files import live_files
from tests.bench.workload import LONG_STREAM, history, order, order_name

COLD: Final = 20

REPORT: Final = """select type, {day} as day, count(*) as events, sum({field})::bigint as total from {events} group by all order by all"""
REPORTS: Final = {
    "out of JSON text": {"day": "(data->>'$.ts')[1:10]", "field": "(data->>'$.amount')::bigint"},
    "of columns": {"day": "occurred_at::date", "field": "version"},
}


def section(run: Run) -> None:
    big = run.big_log()
    _points(run, big)
    _folds(run, big)
    _replay(run, big)
    _reports(run)


def _points(run: Run, big: BigLog) -> None:
    """Ends with landing files in the log: the sections that follow see them as well."""
    picked = random.Random(7).sample(range(big.orders), min(200, big.orders))
    orders = [order_name(number, big.names) for number in picked]
    run.table(f"read a 10-event stream among {big.events:,}", "live files", "p50 ms", "p99 ms")

    def rows(state: str) -> None:
        files = f"{len(live_files(big.place).paths):,}"
        cold = [read_alone(big.place, stream_id) for stream_id in orders[:COLD]]
        with open_store(str(big.place)) as store:
            first = [_timed(store, stream_id) for stream_id in orders]
            footers = [_timed(store, stream_id) for stream_id in orders]
            same = [_timed(store, orders[0]) for _ in orders]
        for what, spent in (("store opened just before", cold), ("handle open", first), ("footers cached", footers), ("same stream again", same)):
            run.row(f"{what}, {state}", files, ms(statistics.median(spent)), ms(percentile(spent, 0.99)))

    rows("compacted")
    land(big.place, run.sizes.landing)
    rows(f"{run.sizes.landing} commits later")


def land(place: Path, commits: int) -> None:
    """One-event commits, by handles that live too briefly for their upkeep to merge them."""
    for first in range(0, commits, 10):
        with open_store(str(place)) as store:
            for number in range(first, min(first + 10, commits)):
                stream_id = f"order-late-{time.time_ns()}-{number}"
                store.append(stream_id, order(stream_id, 0, 1), 0)


def read_alone(place: Path, stream_id: str) -> float:
    with open_store(str(place)) as store:
        return _timed(store, stream_id)


def _timed(store: EventStore, stream_id: str) -> float:
    began = time.perf_counter()
    events = store.read_stream(stream_id)
    spent = time.perf_counter() - began
    if len(events) != 10:
        raise AssertionError(f"{stream_id} has {len(events)} events, not ten")
    return spent


def _folds(run: Run, big: BigLog) -> None:
    run.table(f"fold a stream of {big.long_stream:,}", "ms")
    with open_store(str(big.place)) as store:
        ways: dict[str, Callable[[], Any]] = {
            "read it (Arrow)": lambda: store.read_stream(LONG_STREAM).num_rows,
            "objects, JSON each": lambda: fold_objects(store)[0],
            "objects, bare JSON of the data column": lambda: fold_json(store)[0],
            "SQL, out of JSON text": lambda: fold_sql(store, "sum((data->>'$.amount')::bigint)")[0],
            "SQL, of columns": lambda: fold_sql(store, "max(version)")[0],
        }
        for way, fold in ways.items():
            if fold() != big.long_stream:          # it also opens the footers, as a store at work has
                raise AssertionError(f"{way}: not all events of the long stream were folded")
            run.row(way, ms(run.median(fold)))


def fold_objects(store: EventStore) -> tuple[int, int]:
    """A RecordedEvent each, its JSON decoded: what a plain aggregate costs."""
    count = total = 0
    for event in RecordedEvent.each(store.read_stream(LONG_STREAM)):
        count += 1
        total += event.payload()["amount"]
    return count, total


def fold_json(store: EventStore) -> tuple[int, int]:
    """Only the decoding: the floor of any fold by objects."""
    count = total = 0
    for text in store.read_stream(LONG_STREAM)["data"].to_pylist():
        count += 1
        total += orjson.loads(text)["amount"]
    return count, total


def fold_sql(store: EventStore, what: str) -> Any:
    return store.sql(f"select count(*), {what} from stream('{LONG_STREAM}')").fetchall()[0]


class Replay(NamedTuple):
    """Reading everything, in a fresh process."""

    first_s: float
    events_s: float
    base_mb: float
    peak_mb: float
    handled_s: float


def _replay(run: Run, big: BigLog) -> None:
    replay = alone(replayed, str(big.place), live_files(big.place).rows, run.sizes.small_events)
    run.table(f"read_all of {big.events:,}, in a process of its own", "")
    run.rows(
        [
            ("time to the first batch", f"{replay.first_s:.2f} s"),
            ("rate, Arrow batches", f"{replay.events_s:,.0f} events/s"),
            ("peak memory", f"{replay.peak_mb:,.0f} MB ({replay.base_mb:,.0f} after the imports)"),
            (f"rate through a Python handler, RecordedEvent and JSON each, of {run.sizes.small_events:,}", f"{replay.handled_s:,.0f} events/s"),
        ]
    )


def replayed(place: str, events: int, handled: int) -> Generator[None, None, Replay]:
    yield
    base = resident_mb()
    with open_store(place) as store:
        began = time.perf_counter()
        reader = store.read_all()
        expected = reader.read_next_batch().num_rows
        first_s = time.perf_counter() - began
        for batch in reader:
            expected += batch.num_rows
        spent = time.perf_counter() - began
        if expected != events:
            raise AssertionError(f"{events} events are there, {expected} were read")
        del reader
        peak, began = peak_mb(), time.perf_counter()
        count = _handled(store.read_all(limit=handled))
        return Replay(first_s, events / spent, base, peak, count / (time.perf_counter() - began))


def _handled(batches: Iterable[Any]) -> int:
    totals: dict[str, int] = {}
    count = 0
    for batch in batches:
        for event in RecordedEvent.each(batch):
            totals[event.type] = totals.get(event.type, 0) + event.payload()["amount"]
            count += 1
    return count


def _reports(run: Run) -> None:
    """On a log of its own, so that both read the same events: the compacted small log, as the peers' report has it."""
    place = run.folder() / "report"
    with open_store(str(place), create=True) as store:
        store.append_table(history(0, run.sizes.small_events, run.sizes.names))
        upkeep.compact(store)
        files = live_files(place).paths
        run.table(f"report over {run.sizes.small_events:,} events, type × day, sum of a field", "ms", "plain DuckDB, same files", "ratio")
        with duckdb.connect() as plain:
            for what, fields in REPORTS.items():
                ours = REPORT.format(events="events", **fields)
                theirs = REPORT.format(events=f"read_parquet({files})", **fields)
                if store.sql(ours).fetchall() != plain.sql(theirs).fetchall():
                    raise AssertionError(f"the report {what} differs from plain DuckDB's")
                rounds = [
                    (seconds(lambda q=ours: store.sql(q).fetchall()), seconds(lambda q=theirs: plain.sql(q).fetchall()))  # type: ignore[misc]
                    for _ in range(2 * run.sizes.repeats + 1)
                ]
                mine, floor = (statistics.median(column) for column in zip(*rounds, strict=True))
                run.row(what, ms(mine), ms(floor), f"{mine / floor:.2f}")
