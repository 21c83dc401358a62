"""What the warehouse holds, as Prometheus metrics, looked up whenever somebody scrapes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from prometheus_client.core import GaugeMetricFamily, Metric

from pipelines.levels import Levels, TableLevel
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
    by = partial(_family, "table")
    yield by("alluvium_table_bytes", "Bytes of a table's live files.", ((one.table, one.data_bytes) for one in tables))
    yield by("alluvium_table_files", "Live files of a table.", ((one.table, one.files) for one in tables))
    yield by("alluvium_table_rows", "Rows of a table.", ((one.table, one.rows) for one in tables))
    yield by("alluvium_table_delta_version", "Newest Delta version of a table.", ((one.table, one.delta_version) for one in tables))


def _of_projections(states: Sequence[Status]) -> Iterator[Metric]:
    by = partial(_family, "projection")
    yield by("alluvium_lag_events", "Events that wait.", ((one.projection, one.lag) for one in states))
    yield by("alluvium_lag_seconds", "Since when the first of them waits.", ((one.projection, one.lag_s) for one in states))
    yield by("alluvium_checkpoint", "The last position applied.", ((one.projection, one.checkpoint) for one in states))
    yield by("alluvium_dead_letters", "Events parked.", ((one.projection, one.parked) for one in states))
    state = GaugeMetricFamily("alluvium_projection_state", "1 for the state that a projection is in.", labels=["projection", "state"])
    for one in states:
        state.add_metric([one.projection, one.state], 1)
    yield state


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)


def _family(label: str, name: str, told: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=[label])
    for of, value in values:
        family.add_metric([of], value)
    return family
