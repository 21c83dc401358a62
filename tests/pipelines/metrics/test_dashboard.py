"""The dashboard asks for nothing that nobody tells."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from pipelines.levels import levels
from pipelines.metrics import PrometheusObserver, WarehouseCollector
from projections import Projection, ServingModel, Sql, catch_up
from store import Event, open_store

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana.json"


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] != "row"]


@pytest.fixture
def families(tmp_path: Path) -> list[Metric]:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    columns, form = pa.schema({"type": pa.string(), "events": pa.int64()}), Sql("select type, 1 as events from events", {"events": "count"})
    counted = Projection(name="counted", version=1, key=("type",), columns=columns, form=form)
    with open_store(tmp_path, create=True, observer=observer) as store:
        observer.watch(store)
        store.append("a-1", [Event("Happened", {})])
        catch_up(store, ServingModel(str(tmp_path), counted))
        registry.register(WarehouseCollector(lambda: levels(store, str(tmp_path), [counted])))
        return list(registry.collect())


SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def asked(panels: list[dict[str, Any]]) -> set[str]:
    return {name for panel in panels for target in panel["targets"] for name in re.findall(r"\balluvium_\w+", target["expr"])}


def told(family: Metric) -> set[str]:
    return {f"{family.name}{suffix}" for suffix in SUFFIXES[family.type]}


def test_every_metric_that_it_asks_for_is_told(panels: list[dict[str, Any]], families: list[Metric]) -> None:
    assert asked(panels) - set[str]().union(*map(told, families)) == set()


def test_everything_that_is_told_is_shown(panels: list[dict[str, Any]], families: list[Metric]) -> None:
    """But for what stands there in another form already."""
    unseen = {family.name for family in families if not told(family) & asked(panels)}
    assert unseen == {
        "alluvium_up", "alluvium_look_seconds", "alluvium_last_event_timestamp_seconds", "alluvium_table_rows", "alluvium_table_delta_version",
        "alluvium_cache_evictions", "alluvium_cache_states", "alluvium_cache_bytes", "alluvium_appends", "alluvium_applied_events",
        "alluvium_parked_events", "alluvium_folded_events", "alluvium_snapshot_bytes", "alluvium_upkeep_removed_bytes",
    }  # fmt: skip


def test_panels_have_names_of_their_own_and_do_not_cover_each_other(panels: list[dict[str, Any]]) -> None:
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < 24
    assert max(Counter(panel["title"] for panel in panels).values()) == 1
