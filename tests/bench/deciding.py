"""Decisions that race, append conditions, and what encoding and decoding take."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from store import (
    Boundary,
    ConditionFailedError,
    EventStore,
    Query,
    WrongExpectedVersionError,
    open_store,
    transact,
    transact_query,
)
from tests.bench.order import LINES, TYPES, Order, evolve, line, orders
from tests.bench.run import Run, beside

CLIENTS: Final = 16


def section(run: Run) -> None:
    _codecs(run)
    _storm(run)
    _conditions(run)


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
    bare = count / run.median(lambda: [encoder.encode(value) for value in lines])
    made = count / run.median(lambda: [TYPES.event(value) for value in lines])
    run.row("encode: an Event each, with an id", f"{made:,.0f}", *beside(made, bare))
    bare = count / run.median(lambda: [decoders[type(value).__name__].decode(text) for value, text in zip(lines, encoded, strict=True)])
    read = count / run.median(lambda: TYPES.decode(events))
    run.row("decode: a table of events", f"{read:,.0f}", *beside(read, bare))


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
