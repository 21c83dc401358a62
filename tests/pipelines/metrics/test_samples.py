"""Metrics are kept over time, as rows that any engine reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from prometheus_client import CollectorRegistry, Counter, Gauge

from pipelines.metrics import Sample, Samples, samples_of
from pipelines.metrics.samples import MOST

NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=1)


def head(value: float) -> Sample:
    return Sample("", "alluvium_head", "{}", value)


def test_the_latest_are_those_of_the_last_time(tmp_path: Path) -> None:
    samples = Samples(str(tmp_path))
    assert samples.latest() == (None, [])
    samples.add(NOON, [head(1)], LONG_AGO)
    kept = samples.add(NOON + timedelta(minutes=5), [head(2), Sample("host:1", "alluvium_up", "{}", 1)], LONG_AGO)
    assert kept == 3
    assert samples.latest() == (NOON + timedelta(minutes=5), [head(2), Sample("host:1", "alluvium_up", "{}", 1)])


def test_the_old_ones_go_in_the_commit_that_brings_new_ones(tmp_path: Path) -> None:
    samples = Samples(str(tmp_path))
    for hour in range(5):
        kept = samples.add(NOON + timedelta(hours=hour), [head(hour)], NOON + timedelta(hours=hour - 2))
    assert kept == 3
    assert pl.read_delta(samples.uri)["value"].to_list() == [2, 3, 4]


def test_one_that_is_told_twice_counts_once(tmp_path: Path) -> None:
    assert Samples(str(tmp_path)).add(NOON, [head(1), head(2)], LONG_AGO) == 1


def test_too_many_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    samples = Samples(str(tmp_path))
    samples.add(NOON, [head(1)], LONG_AGO)
    with pytest.raises(ValueError, match="20,001 samples of one time"):
        samples.add(NOON, [Sample("", "alluvium_head", str(number), 0) for number in range(MOST + 1)], LONG_AGO)
    assert samples.latest() == (NOON, [head(1)])


def test_sql_reads_them_with_their_labels(tmp_path: Path) -> None:
    samples = Samples(str(tmp_path))
    samples.add(NOON, [Sample("", "alluvium_lag_events", '{"projection":"fleet"}', 7)], LONG_AGO)
    read = duckdb.read_parquet(DeltaTable(samples.uri).file_uris())
    assert read.project("labels ->> 'projection', value").fetchall() == [("fleet", 7)]


def test_only_metrics_of_ours_are_kept_and_not_when_a_counter_began() -> None:
    registry = CollectorRegistry()
    Counter("alluvium_events", "told", ["stream", "b"], registry=registry).labels("s", "x").inc(3)
    Gauge("python_threads", "told", registry=registry).set(4)
    assert samples_of("host:1", registry.collect()) == [Sample("host:1", "alluvium_events_total", '{"b":"x","stream":"s"}', 3)]
