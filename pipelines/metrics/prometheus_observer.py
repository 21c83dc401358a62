"""Measurements as Prometheus metrics: what this process does. What the warehouse holds tells `WarehouseCollector`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from projections import Applied, Delayed, Halted, Parked
from store import (
    Checkpointed,
    Circuit,
    Cleaned,
    Committed,
    Compacted,
    Decided,
    EventStore,
    Failed,
    Reconstructed,
    Refused,
    Retried,
    SnapshotIgnored,
    Snapshotted,
    Vacuumed,
)

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CIRCUITS: Final = {"closed": 0, "half-open": 1, "open": 2}


class PrometheusObserver:
    """For `open_store(observer=…)` and the runners of projections; one for a registry. Safe to use from many threads at once."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._parts = (_Appends(registry), _States(registry), _Upkeep(registry), _Projections(registry))

    def record(self, measurement: Any) -> None:
        for part in self._parts:
            part.record(measurement)

    def watch(self, store: EventStore) -> None:
        """Tell of this store's cache of states, too; of one store in a registry."""
        self._registry.register(_Cache(store))


class _Appends:
    def __init__(self, registry: CollectorRegistry) -> None:
        told = "From the arrival of a commit's oldest append to its durable answer: no append of it took longer."
        self._commit_s = Histogram("alluvium_commit_seconds", told, buckets=SECONDS, registry=registry)
        self._appends = Counter("alluvium_appends", "Appends committed.", registry=registry)
        self._events = Counter("alluvium_events", "Events committed.", registry=registry)
        self._bytes = Counter("alluvium_landed_bytes", "Bytes of the Parquet files of commits.", registry=registry)
        self._lost = Counter("alluvium_lost_races", "Commits tried again because another process was first.", registry=registry)
        self._refusals = Counter("alluvium_refusals", "Appends refused, by the error's class.", ["reason"], registry=registry)

    def record(self, measurement: Any) -> None:
        match measurement:
            case Committed():
                self._commit_s.observe(measurement.waited_s)
                self._appends.inc(measurement.appends)
                self._events.inc(measurement.events)
                self._bytes.inc(measurement.data_bytes)
                self._lost.inc(measurement.attempts - 1)
            case Refused():
                self._refusals.labels(measurement.reason).inc()


class _States:
    def __init__(self, registry: CollectorRegistry) -> None:
        by, told = ["aggregate", "begun"], "Loading a state: from what storage holds, or going on with one in memory."
        self._load_s = Histogram("alluvium_load_seconds", told, by, buckets=SECONDS, registry=registry)
        self._folded = Counter("alluvium_folded_events", "Events folded by loads.", ["aggregate"], registry=registry)
        self._decide_s = Histogram("alluvium_decision_seconds", "Decisions with their commit.", buckets=SECONDS, registry=registry)
        self._decisions = Counter("alluvium_decisions", "Decisions that became a commit, or decided on nothing.", registry=registry)
        self._retries = Counter("alluvium_decision_retries", "Decisions made again because another was first.", registry=registry)
        self._save_s = Histogram("alluvium_snapshot_seconds", "Saving states, many in one commit.", buckets=SECONDS, registry=registry)
        self._snapshots = Counter("alluvium_snapshots", "States saved.", registry=registry)
        self._bytes = Counter("alluvium_snapshot_bytes", "Bytes of the states saved.", registry=registry)
        self._ignored = Counter("alluvium_snapshots_ignored", "Snapshots of no use: folded without.", ["aggregate"], registry=registry)

    def record(self, measurement: Any) -> None:
        match measurement:
            case Reconstructed():
                begun = "in memory" if measurement.remembered else "in storage"
                self._load_s.labels(measurement.aggregate, begun).observe(measurement.seconds)
                self._folded.labels(measurement.aggregate).inc(measurement.events)
            case Decided():
                self._decide_s.observe(measurement.seconds)
                self._decisions.inc(measurement.decisions)
            case Retried():
                self._retries.inc()
            case Snapshotted():
                self._save_s.observe(measurement.seconds)
                self._snapshots.inc(measurement.snapshots)
                self._bytes.inc(measurement.data_bytes)
            case SnapshotIgnored():
                self._ignored.labels(measurement.aggregate).inc()


class _Upkeep:
    def __init__(self, registry: CollectorRegistry) -> None:
        by = ["work", "table"]
        self._seconds = Histogram("alluvium_upkeep_seconds", "Compaction, checkpoints, clean-up, vacuum.", by, buckets=SECONDS, registry=registry)
        self._written = Counter("alluvium_upkeep_written_bytes", "Bytes written by compaction and checkpoints.", by, registry=registry)
        self._removed = Counter("alluvium_upkeep_removed_bytes", "Bytes removed by clean-up and vacuum.", by, registry=registry)
        self._failures = Counter("alluvium_failures", "Work off the append path that did not succeed.", ["work"], registry=registry)
        told = "Calls to storage or a target: 0 they go through (closed), 1 one is tried (half-open), 2 they are held back (open)."
        self._circuit = Gauge("alluvium_circuit_state", told, ["place"], registry=registry)

    def record(self, measurement: Any) -> None:
        match measurement:
            case Compacted() | Checkpointed():
                by = _work(measurement), measurement.table
                self._seconds.labels(*by).observe(measurement.seconds)
                self._written.labels(*by).inc(measurement.data_bytes)
            case Cleaned() | Vacuumed():
                by = _work(measurement), measurement.table
                self._seconds.labels(*by).observe(measurement.seconds)
                self._removed.labels(*by).inc(measurement.data_bytes)
            case Failed():
                self._failures.labels(measurement.work).inc()
            case Circuit():
                self._circuit.labels(measurement.place).set(CIRCUITS[measurement.state])


class _Projections:
    def __init__(self, registry: CollectorRegistry) -> None:
        by = ["projection"]
        self._seconds = Histogram("alluvium_batch_seconds", "Reading, applying and committing a batch.", by, buckets=SECONDS, registry=registry)
        self._events = Counter("alluvium_applied_events", "Events applied.", by, registry=registry)
        self._rows = Counter("alluvium_changed_rows", "Rows put or deleted.", by, registry=registry)
        self._parked = Counter("alluvium_parked_events", "Events put among the dead letters.", by, registry=registry)
        self._halts = Counter("alluvium_halts", "Projections that stopped, by the error's class.", ["projection", "reason"], registry=registry)
        self._delays = Counter("alluvium_delays", "Waits because storage refused.", ["projection", "reason"], registry=registry)

    def record(self, measurement: Any) -> None:
        match measurement:
            case Applied():
                self._seconds.labels(measurement.projection).observe(measurement.seconds)
                self._events.labels(measurement.projection).inc(measurement.events)
                self._rows.labels(measurement.projection).inc(measurement.rows)
            case Parked():
                self._parked.labels(measurement.projection).inc(measurement.events)
            case Halted():
                self._halts.labels(measurement.projection, measurement.reason).inc()
            case Delayed():
                self._delays.labels(measurement.projection, measurement.reason).inc()


class _Cache:
    """Read when it is asked for: counting each hit would cost what a hit saves."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def describe(self) -> Iterator[Metric]:
        yield from ()                              # else registering it would read it

    def collect(self) -> Iterator[Metric]:
        use = self._store.deciding.cache_use()
        yield CounterMetricFamily("alluvium_cache_hits", "Loads that found a state in memory, up to date or not.", use.hits)
        yield CounterMetricFamily("alluvium_cache_misses", "Loads that found none.", use.misses)
        yield CounterMetricFamily("alluvium_cache_evictions", "States that had to leave the memory.", use.evicted)
        yield GaugeMetricFamily("alluvium_cache_states", "States in memory.", use.states)
        yield GaugeMetricFamily("alluvium_cache_bytes", "About so much memory they take.", use.size_bytes)


def _work(measurement: Compacted | Checkpointed | Cleaned | Vacuumed) -> str:
    return {Compacted: "compaction", Checkpointed: "checkpoint", Cleaned: "clean-up", Vacuumed: "vacuum"}[type(measurement)]
