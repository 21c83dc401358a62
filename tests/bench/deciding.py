"""Deciding: loads, snapshots, decisions that race, and what encoding and decoding take."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec
import orjson
import pyarrow as pa

from store import (
    Aggregate,
    Boundary,
    ConditionFailedError,
    EventStore,
    EventType,
    EventTypes,
    Query,
    SnapshotPolicy,
    WrongExpectedVersionError,
    load,
    load_many,
    open_store,
    rebuild_snapshots,
    snapshot,
    transact,
    transact_query,
)
from store.deciding.states import Known
from tests.bench.big_log import BigLog
from tests.bench.run import Run, beside, ms, percentile
from tests.bench.workload import LIFECYCLE, LONG_STREAM, history, order_name, payload

CLIENTS: Final = 16
SAMPLES: Final = 200
FEW: Final = 200
"""Of the aggregates that are loaded together, so many are loaded one by one for comparison."""


class Line(msgspec.Struct, frozen=True):
    """What an order's events say, each type alike."""

    order_id: str
    seq: int
    customer_id: str
    sku: str
    qty: int
    amount: int
    currency: str
    channel: str
    warehouse: str
    ts: str


LINES: Final = {name: msgspec.defstruct(name, [], bases=(Line,), frozen=True) for name in dict.fromkeys(LIFECYCLE)}
TYPES: Final = EventTypes(*(EventType(name, cls) for name, cls in LINES.items()))


class Order(msgspec.Struct, frozen=True):
    """What the peers' fold keeps, but for the quantities per article."""

    events: int = 0
    status: str = ""
    total: int = 0


def evolve(order: Order, line: Any) -> Order:
    return Order(order.events + 1, line.channel, order.total + line.amount)


def orders(policy: SnapshotPolicy | None = None) -> Aggregate[Order]:
    """Each is a new one to the cache of states."""
    return Aggregate(category="order", initial=Order(), evolve=evolve, types=TYPES, snapshots=policy)


def line(number: int) -> Any:
    return LINES[LIFECYCLE[number % 10]](**payload("order-x", number, number))


def section(run: Run) -> None:
    _codecs(run)
    _storm(run)
    _conditions(run)
    big = run.big_log()
    _loads(run, big)
    _folds(run, big)
    _snapshots(run, big)
    _together(run, big)


# Encoding and decoding ------------------------------------------------------------------------------------------


def _codecs(run: Run) -> None:
    count = min(100_000, run.sizes.small_events)
    lines = [line(number) for number in range(count)]
    run.table(f"{count:,} events of msgspec Structs", "events/s", "bare msgspec", "of it")
    encoder = msgspec.json.Encoder()
    encoded = [encoder.encode(value) for value in lines]
    decoders = {name: msgspec.json.Decoder(cls) for name, cls in LINES.items()}
    with open_store(str(run.folder() / "codecs"), create=True) as store:
        for first in range(0, count, 10_000):
            store.append("order-x", [TYPES.event(value) for value in lines[first : first + 10_000]])
        events = store.read_stream("order-x").combine_chunks()
    bare = count / _best(run, lambda: [encoder.encode(value) for value in lines])
    made = count / _best(run, lambda: [TYPES.event(value) for value in lines])
    run.row("encode: an Event each, with an id", f"{made:,.0f}", *beside(made, bare))
    bare = count / _best(run, lambda: [decoders[type(value).__name__].decode(text) for value, text in zip(lines, encoded, strict=True)])
    read = count / _best(run, lambda: TYPES.decode(events))
    run.row("decode: a table of events", f"{read:,.0f}", *beside(read, bare))


def _best(run: Run, work: Callable[[], Any]) -> float:
    return statistics.median(_spent(work) for _ in range(run.sizes.repeats))


# Many on one stream ---------------------------------------------------------------------------------------------


def _storm(run: Run) -> None:
    """Every client adds one event to the same stream, over and over."""
    run.table("16 clients on one stream", "successes/s", "of one client", "retries per success", "busiest / slowest")
    alone = _medians(run, _appended, 1)[0]
    for what, work in (("append at the version last seen", _appended), ("transact", _transacted)):
        rate, retries, unfair = _medians(run, work, CLIENTS)
        run.row(what, f"{rate:,.0f}", f"{rate / alone:.2f}", f"{retries:.2f}", f"{unfair:.1f}")
    run.row("one client, append", f"{alone:,.0f}", "1.00", "0.00", "1.0")


Client = Callable[[EventStore, float], tuple[int, int]]
"""(store, until) -> successes, retries."""


def _medians(run: Run, work: Client, clients: int) -> list[float]:
    rounds = [_raced(run.folder() / "storm", work, clients, run.sizes.seconds) for _ in range(run.sizes.repeats)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _raced(place: Path, work: Client, clients: int, seconds: float) -> tuple[float, float, float]:
    counts: list[tuple[int, int]] = []
    with open_store(str(place), create=True) as store:
        until = time.perf_counter() + seconds
        threads = [threading.Thread(target=lambda: counts.append(work(store, until))) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won, lost = [w for w, _ in counts], sum(lost for _, lost in counts)
        if store.head() != sum(won):
            raise AssertionError(f"{sum(won)} successes, but {store.head()} events")
    return sum(won) / seconds, lost / max(1, sum(won)), max(won) / max(1, min(won))


def _appended(store: EventStore, until: float) -> tuple[int, int]:
    won = lost = version = 0
    while time.perf_counter() < until:
        try:
            version = store.append("order-hot", [TYPES.event(line(won))], version).version
            won += 1
        except WrongExpectedVersionError as refused:
            version, lost = refused.actual, lost + 1
    return won, lost


HOT: Final = orders()


def _transacted(store: EventStore, until: float) -> tuple[int, int]:
    won = lost = 0
    while time.perf_counter() < until:
        lost += transact(store, HOT, "hot", lambda order: line(order.events)).attempts - 1
        won += 1
    return won, lost


# Conditions -----------------------------------------------------------------------------------------------------


def _conditions(run: Run) -> None:
    """An append that is refused if anything with its tag came after the head that was seen, beside plain ones."""
    run.table("append conditions, one event each", "1 client, events/s", f"{CLIENTS} clients, events/s")
    rates = {}
    for what, work in (("plain", _plain), ("with a condition on a tag of its own", _guarded), ("transact_query on a tag of its own", _queried)):
        rates[what] = [_medians(run, work, clients)[0] for clients in (1, CLIENTS)]
        run.row(what, *(f"{rate:,.0f}" for rate in rates[what]))


def _plain(store: EventStore, until: float) -> tuple[int, int]:
    name, won = f"order-{threading.get_ident()}", 0
    while time.perf_counter() < until:
        store.append(name, [TYPES.event(line(won), tags=[name])])
        won += 1
    return won, 0


def _guarded(store: EventStore, until: float) -> tuple[int, int]:
    name, won, lost, after = f"order-{threading.get_ident()}", 0, 0, 0
    while time.perf_counter() < until:
        try:
            after = store.append(name, [TYPES.event(line(won), tags=[name])], fail_if=Query(tags=[name]), after=after).position
            won += 1
        except ConditionFailedError:
            after, lost = store.head(), lost + 1
    return won, lost


ANY_ORDER: Final = Boundary(initial=Order(), evolve=evolve, types=TYPES)


def _queried(store: EventStore, until: float) -> tuple[int, int]:
    name, won, lost = f"order-{threading.get_ident()}", 0, 0
    query = Query(tags=[name])
    while time.perf_counter() < until:
        done = transact_query(store, ANY_ORDER, query, lambda order: {name: [TYPES.event(line(order.events), tags=[name])]})
        won, lost = won + 1, lost + done.attempts - 1
    return won, lost


# Loads ----------------------------------------------------------------------------------------------------------


def _loads(run: Run, big: BigLog) -> None:
    lengths = (10, 1_000, big.long_stream)
    run.table(f"load an aggregate among {big.events:,} events", "cold p50 ms", "cold p99 ms", "cached p50 ms", "cached p99 ms")
    with open_store(str(big.place)) as store:
        if not store.stream_version("order-thousand"):
            store.append("order-thousand", [TYPES.event(line(number)) for number in range(1_000)])
    for length, ids in zip(lengths, (_picked(big, SAMPLES), ["thousand"] * 20, ["big"] * 5), strict=True):
        cold = [_cold(big.place, id, length) for id in ids[:20]]
        with open_store(str(big.place)) as store:
            aggregate = orders()
            load(store, aggregate, ids[0])
            cached = [_spent(lambda: load(store, aggregate, ids[0])) for _ in range(SAMPLES)]  # noqa: B023
        spent = (statistics.median(cold), percentile(cold, 0.99), statistics.median(cached), percentile(cached, 0.99))
        run.row(f"{length:,} events", *map(ms, spent))


def _picked(big: BigLog, count: int) -> list[str]:
    numbers = random.Random(11).sample(range(big.orders), min(count, big.orders))
    return [order_name(number, big.names).removeprefix("order-") for number in numbers]


def _cold(place: Path, id: str, length: int, policy: SnapshotPolicy | None = None) -> float:
    """By a handle that has read another stream, so that its files are open, but knows nothing of this one."""
    with open_store(str(place)) as store:
        store.read_stream("order-00000000", limit=1)
        began = time.perf_counter()
        loaded = load(store, orders(policy), id)
        spent = time.perf_counter() - began
    if loaded.version != length:
        raise AssertionError(f"{id} has {loaded.version} events, not {length}")
    return spent


def _folds(run: Run, big: BigLog) -> None:
    count = big.long_stream
    run.table(f"fold {count:,} events of one stream", "ms", "of which reading and decoding")
    with open_store(str(big.place)) as store:
        events = store.read_stream(LONG_STREAM)
        objects = TYPES.decode(events)
        reading = _best(run, lambda: TYPES.decode(store.read_stream(LONG_STREAM)))
        run.row("typed objects", ms(reading + _best(run, lambda: reduce(evolve, objects, Order()))), ms(reading))
        raw = _best(run, lambda: [orjson.loads(text) for text in store.read_stream(LONG_STREAM)["data"].to_pylist()])
        run.row("JSON objects", ms(_best(run, lambda: _fold_json(store))), ms(raw))
        columns = _columns(store)
        making = _best(run, lambda: _columns(store))
        run.row("typed columns, made of JSON", ms(making + _best(run, lambda: _fold_columns(columns))), ms(making))
        run.row("typed columns, there already", ms(_best(run, lambda: _fold_columns(columns))), "–")
        run.row("SQL, out of JSON text", ms(_best(run, lambda: _fold_sql(store))), "–")
        with duckdb.connect() as connection:
            connection.register("typed", columns)
            fold = "select count(*), max_by(channel, version), sum(amount) from typed"
            run.row("SQL, of typed columns", ms(_best(run, lambda: connection.sql(fold).fetchall())), "–")


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


# Snapshots ------------------------------------------------------------------------------------------------------

TAIL: Final = 50
POLICY: Final = SnapshotPolicy()


def _snapshots(run: Run, big: BigLog) -> None:
    """The long stream is saved, then goes on; a thousand orders are saved as well."""
    with open_store(str(big.place)) as store:
        snapshot(store, orders(POLICY), "big")
        store.append(LONG_STREAM, [TYPES.event(line(number)) for number in range(TAIL)])
        length = store.stream_version(LONG_STREAM)
        ids = _picked(big, 1_000)
        aggregate = orders(POLICY)
        alone_s = _spent(lambda: [snapshot(store, aggregate, id) for id in ids[:TAIL]]) / TAIL
        states = load_many(store, aggregate, ids)
        for loaded in states.values():
            store.deciding.snapshotter.take(aggregate, loaded.stream_id, Known(loaded.state, loaded.version, loaded.position, 0.0))
        together_s = _spent(store.deciding.snapshotter.flush) / len(states)
    run.table("take a snapshot", "ms each")
    run.row("one by one, load and durable commit", ms(alone_s))
    run.row(f"{len(states):,} in one commit", ms(together_s))
    run.table(f"recover the aggregate of {length:,} events, {TAIL} of them after its snapshot", "p50 ms", "p99 ms")
    run.rows((what, ms(statistics.median(spent)), ms(percentile(spent, 0.99))) for what, spent in _recoveries(run, big, length))


def _recoveries(run: Run, big: BigLog, length: int) -> Iterator[tuple[str, list[float]]]:
    samples = min(SAMPLES, 67 * run.sizes.repeats)
    yield "handle just opened", [_cold(big.place, "big", length, POLICY) for _ in range(samples)]
    with open_store(str(big.place)) as store:
        load(store, orders(POLICY), "big")
        yield "footers cached, state not", [_spent(lambda: load(store, orders(POLICY), "big")) for _ in range(samples)]
        aggregate = orders(POLICY)
        load(store, aggregate, "big")
        yield "state cached", [_spent(lambda: load(store, aggregate, "big")) for _ in range(samples)]


# Many aggregates ------------------------------------------------------------------------------------------------


def _together(run: Run, big: BigLog) -> None:
    count = min(10_000, big.orders // 2)
    ids = _picked(big, count)
    with open_store(str(big.place)) as store:
        load(store, orders(), ids[0])
        many_s = _spent(lambda: load_many(store, orders(), ids))
        one_s = _spent(lambda: [load(store, orders(), id) for id in ids[:FEW]]) / min(FEW, count) * count
    run.table(f"load {count:,} aggregates of ten events", "s", "of one by one")
    run.row("one by one (cold)", f"{one_s:.2f}", "1.00")
    run.row("load_many", f"{many_s:.2f}", f"{many_s / one_s:.3f}")
    place = run.folder() / "category"
    with open_store(str(place), create=True) as store:
        store.append_table(history(0, run.sizes.small_events))
        spent = _spent(lambda: rebuild_snapshots(store, orders(SnapshotPolicy())))
    run.table(f"save every aggregate of a category of {run.sizes.small_events:,} events", "s", "aggregates/s", "events/s")
    run.row("rebuild_snapshots", f"{spent:.2f}", f"{run.sizes.small_events / 10 / spent:,.0f}", f"{run.sizes.small_events / spent:,.0f}")


def _spent(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
