"""What the warehouse holds, as Prometheus metrics, looked up whenever somebody scrapes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from pipelines.metrics.levels import Levels, TableLevel
from projections import ProjectionError, Status
from store import StoreError


class WarehouseCollector:
    """For a registry. `look` is asked at each scrape; where it refuses, `alluvium_up` is 0, the log says why, and the rest is missing."""

    def __init__(self, look: Callable[[], Levels]) -> None:
        self._look = look

    def describe(self) -> Iterator[Metric]:
        yield from ()                              # else registering it would look

    def collect(self) -> Iterator[Metric]:
        began_s = time.perf_counter()
        try:
            seen = self._look()
        except (ProjectionError, StoreError) as error:
            logging.getLogger("alluvium").warning("the warehouse cannot be looked at: %s", error)
            yield _gauge("alluvium_up", "Whether the warehouse could be looked at.", 0)
            return
        yield _gauge("alluvium_up", "Whether the warehouse could be looked at.", 1)
        yield _gauge("alluvium_look_seconds", "How long that took.", time.perf_counter() - began_s)
        yield _gauge("alluvium_head", "The last position of the log.", seen.head)
        if seen.recorded_at is not None:
            yield _gauge("alluvium_last_event_timestamp_seconds", "When the last event was recorded.", seen.recorded_at.timestamp())
        yield from _of_tables(seen.tables)
        yield from _of_projections(seen.projections)


def _of_tables(tables: Sequence[TableLevel]) -> Iterator[Metric]:
    told = {one.table: one for one in tables}
    yield _by("table", "alluvium_table_bytes", "Bytes of a table's live files.", {name: one.data_bytes for name, one in told.items()})
    yield _by("table", "alluvium_table_files", "Live files of a table.", {name: one.files for name, one in told.items()})
    yield _by("table", "alluvium_table_rows", "Rows of a table.", {name: one.rows for name, one in told.items()})
    yield _by("table", "alluvium_table_delta_version", "Newest Delta version of a table.", {name: one.delta_version for name, one in told.items()})


def _of_projections(states: Sequence[Status]) -> Iterator[Metric]:
    told = {one.projection: one for one in states}
    yield _by("projection", "alluvium_lag_events", "Events that wait.", {name: one.lag for name, one in told.items()})
    yield _by("projection", "alluvium_lag_seconds", "Since when the first of them waits.", {name: one.lag_s for name, one in told.items()})
    yield _by("projection", "alluvium_checkpoint", "The last position applied.", {name: one.checkpoint for name, one in told.items()})
    yield _by("projection", "alluvium_dead_letters", "Events parked.", {name: one.parked for name, one in told.items()})
    state = GaugeMetricFamily("alluvium_projection_state", "1 for the state that a projection is in.", labels=["projection", "state"])
    for name, one in told.items():
        state.add_metric([name, one.state], 1)
    yield state


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)


def _by(label: str, name: str, told: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family
