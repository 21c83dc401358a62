"""What a process does is told to Prometheus, by names that stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from pipelines.metrics import PrometheusObserver
from projections import Applied, Delayed, Halted, MemoryModel, Parked, Projection, Sql, catch_up
from store import Circuit, Event, Failed, SnapshotIgnored, SnapshotPolicy, WrongExpectedVersionError, load, open_store, transact
from tests.store.deciding.account import account, deposit


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def observer(registry: CollectorRegistry) -> PrometheusObserver:
    return PrometheusObserver(registry)


def told(registry: CollectorRegistry, metric: str, **labels: str) -> float:
    value = registry.get_sample_value(f"alluvium_{metric}", labels)
    assert value is not None, metric
    return value


def test_appends_are_counted_and_timed(tmp_path: Path, registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    with open_store(tmp_path, create=True, observer=observer) as store:
        store.append("a-1", [Event("Happened", {}), Event("Happened", {})])
        store.append("a-1", [Event("Happened", {})])
        with pytest.raises(WrongExpectedVersionError):
            store.append("a-1", [Event("Happened", {})], expected_version=9)
    assert [told(registry, name) for name in ("appends_total", "events_total", "commit_seconds_count", "lost_races_total")] == [2, 3, 2, 0]
    assert told(registry, "refusals_total", reason="WrongExpectedVersionError") == 1
    assert told(registry, "landed_bytes_total") > 0
    assert told(registry, "commit_seconds_sum") > 0


def test_loads_decisions_and_the_cache_are_told(tmp_path: Path, registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    with open_store(tmp_path, create=True, observer=observer) as store:
        observer.watch(store)
        transact(store, account, "1", deposit(5))
        load(store, account, "1")
        assert told(registry, "decisions_total") == 1
        assert told(registry, "load_seconds_count", aggregate=account.name, begun="in storage") == 1
        assert (told(registry, "cache_hits_total"), told(registry, "cache_misses_total"), told(registry, "cache_states")) == (1, 1, 1)
        assert told(registry, "cache_bytes") > 0


def test_a_batch_is_told_under_its_projection(registry: CollectorRegistry, observer: PrometheusObserver, tmp_path: Path) -> None:
    columns = pa.schema({"type": pa.string(), "events": pa.int64()})
    counted = Projection(
        name="counted", version=1, key=("type",), columns=columns, form=Sql("select type, 1 as events from events", {"events": "count"})
    )
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", [Event("Happened", {}), Event("Ended", {})])
        catch_up(store, MemoryModel(counted), observer=observer)
    assert told(registry, "applied_events_total", projection="counted") == 2
    assert told(registry, "changed_rows_total", projection="counted") == 2
    assert told(registry, "batch_seconds_count", projection="counted") == 1


def test_what_stands_in_the_way_is_told(registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    for measurement in (
        Circuit("s3://b", "open", 5, "503"), Failed("upkeep", "no room"), Parked("fleet", 3, 1), Halted("fleet", "ApplyError", "no such field", None),
        Delayed("fleet", "StorageError", 1, 0.2), SnapshotIgnored("aircraft", "aircraft-1", 3, 1, "of an unknown shape"),
    ):  # fmt: skip
        observer.record(measurement)
    assert told(registry, "circuit_state", place="s3://b") == 2
    assert told(registry, "failures_total", work="upkeep") == 1
    assert told(registry, "parked_events_total", projection="fleet") == 3
    assert told(registry, "halts_total", projection="fleet", reason="ApplyError") == 1
    assert told(registry, "delays_total", projection="fleet", reason="StorageError") == 1
    assert told(registry, "snapshots_ignored_total", aggregate="aircraft") == 1
    observer.record(Circuit("s3://b", "closed", 0, ""))
    assert told(registry, "circuit_state", place="s3://b") == 0


def test_upkeep_is_timed_by_work_and_table(tmp_path: Path, registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    with open_store(tmp_path, create=True, observer=observer) as store:
        for number in range(3):
            store.append(f"a-{number}", [Event("Happened", {})])
        store.maintain()
    for work in ("compaction", "checkpoint", "clean-up", "vacuum"):
        assert told(registry, "upkeep_seconds_count", work=work, table="events") >= 1
    assert told(registry, "upkeep_written_bytes_total", work="compaction", table="events") > 0


def test_saved_states_are_counted(tmp_path: Path, registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    saving = replace(account, snapshots=SnapshotPolicy(every_events=1))
    with open_store(tmp_path, create=True, observer=observer) as store:
        transact(store, saving, "1", deposit(5))
    assert told(registry, "snapshots_total") == 1
    assert told(registry, "snapshot_seconds_count") == 1
    assert told(registry, "snapshot_bytes_total") > 0


def test_batches_are_timed(registry: CollectorRegistry, observer: PrometheusObserver) -> None:
    observer.record(Applied("fleet", 10, 4, 10, 20, 0.25))
    assert told(registry, "batch_seconds_sum", projection="fleet") == 0.25
