"""Snapshots: taking them, recovering from them, and how far apart they should be."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from store import EventStore, InvalidEventError, SnapshotPolicy, load, open_store, rebuild_snapshots, recommend_interval, snapshot
from tests.bench.big_log import BigLog
from tests.bench.order import TYPES, line, load_another, load_cold, orders
from tests.bench.run import Run, ms, percentile, seconds
from tests.bench.workload import LONG_STREAM, history

TAIL: Final = 50
POLICY: Final = SnapshotPolicy()
SAMPLES: Final = 200
TAILS: Final = (0, 100, 500, 1_000, 5_000, 10_000, 50_000)


def section(run: Run) -> None:
    big = run.big_log()
    length = _take(run, big)
    _recover(run, big, length)
    _space(run, big, length)
    _rebuild(run)


def _take(run: Run, big: BigLog) -> int:
    """The long stream is saved, then goes on; a thousand orders are saved as well."""
    with open_store(str(big.place)) as store:
        snapshot(store, orders(POLICY), "big")
        store.append(LONG_STREAM, [TYPES.event(line(number)) for number in range(TAIL)])
        ids, aggregate = big.picked(1_000), orders(POLICY)
        alone_s = seconds(lambda: [snapshot(store, aggregate, id) for id in ids[:TAIL]]) / TAIL
        for stream_id in map(aggregate.stream_id, ids):
            store.deciding.snapshotter.take(aggregate, stream_id, store.deciding.loader.load(aggregate, stream_id, 0.0))
        together_s = seconds(store.deciding.snapshotter.flush) / len(ids)
        run.table("take a snapshot", "ms each")
        run.row("one by one, load and durable commit", ms(alone_s))
        run.row(f"{len(ids):,} in one commit", ms(together_s))
        return store.stream_version(LONG_STREAM)


def _recover(run: Run, big: BigLog, length: int) -> None:
    run.table(f"recover the aggregate of {length:,} events, {TAIL} of them after its snapshot", "p50 ms", "p99 ms")
    for what, spent in _recoveries(big, length, min(SAMPLES, 67 * run.sizes.repeats)):
        run.row(what, ms(statistics.median(spent)), ms(percentile(spent, 0.99)))


def _recoveries(big: BigLog, length: int, samples: int) -> Iterator[tuple[str, list[float]]]:
    yield "handle just opened", [load_cold(big.place, "big", length, POLICY) for _ in range(samples)]
    yield "handle that loaded another one before", [load_cold(big.place, "big", length, POLICY, load_another) for _ in range(samples)]
    with open_store(str(big.place)) as store:
        load(store, orders(POLICY), "big")
        yield "footers cached, state not", [seconds(lambda: load(store, orders(POLICY), "big")) for _ in range(samples)]
        aggregate = orders(POLICY)
        load(store, aggregate, "big")
        yield "state cached", [seconds(lambda: load(store, aggregate, "big")) for _ in range(samples)]


def _space(run: Run, big: BigLog, length: int) -> None:
    """What a load takes that folds so many events after the snapshot, and what the library makes of that."""
    tails = [tail for tail in TAILS if tail < length]
    run.table(f"the stream of {length:,} events, so many of them after its snapshot", "first load of a handle, ms", "next ones, ms")
    for tail in tails:
        with open_store(str(big.place)) as store:
            _save_only_at(store, length - tail)
        cold = statistics.median(load_cold(big.place, "big", length, POLICY) for _ in range(5 * run.sizes.repeats))
        with open_store(str(big.place)) as store:
            load(store, orders(POLICY), "big")
            run.row(f"{tail:,}", ms(cold), ms(run.median(lambda: load(store, orders(POLICY), "big"))))
    with open_store(str(big.place)) as store:
        for id in [*big.picked(10), *["big"] * 5]:
            load(store, orders(), id)
        run.table("recommend_interval, from 15 loads", "every events", "ms a load", "µs an event")
        for target_ms in (10.0, 50.0):
            try:
                told = recommend_interval(store, orders(), target_ms)
            except InvalidEventError:              # a busy machine takes longer to load nothing
                run.row(f"target {target_ms:.0f} ms", "-", f"over {target_ms:.0f}", "-")
                continue
            run.row(f"target {target_ms:.0f} ms", f"{told.every_events or 0:,}", f"{told.base_ms:.2f}", f"{told.event_us:.2f}")


def _save_only_at(store: EventStore, version: int) -> None:
    known = store.deciding.loader.recovery.begin(orders(), LONG_STREAM, version)
    store.snapshots.forget(orders().name, [LONG_STREAM])
    store.deciding.snapshotter.take(orders(POLICY), LONG_STREAM, known)
    store.deciding.snapshotter.flush()


def _rebuild(run: Run) -> None:
    place = run.folder() / "category"
    with open_store(str(place), create=True) as store:
        store.append_table(history(0, run.sizes.small_events))
        spent = seconds(lambda: rebuild_snapshots(store, orders(POLICY)))
    run.table(f"save every aggregate of a category of {run.sizes.small_events:,} events", "s", "aggregates/s", "events/s")
    run.row("rebuild_snapshots", f"{spent:.2f}", f"{run.sizes.small_events / 10 / spent:,.0f}", f"{run.sizes.small_events / spent:,.0f}")
