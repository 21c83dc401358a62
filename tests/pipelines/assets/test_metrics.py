"""The asset that keeps metrics over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from prometheus_client import CollectorRegistry

from pipelines.assets.metrics import METRICS, metrics
from pipelines.metrics import PrometheusObserver, endpoint
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from store import Event, open_store
from tests.pipelines import library


def run(warehouse: Path, scrape: str = "") -> dict[str, Any]:
    settings = Settings.read({"ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_SCRAPE": scrape})
    asset = metrics(library.domain, "warehouse", settings)
    result = dg.materialize([asset], resources={"warehouse": Warehouse(uri=str(warehouse))})
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_each_run_keeps_what_the_warehouse_holds_and_tells_the_main_numbers(tmp_path: Path) -> None:
    library.append(tmp_path, "book-emma", [library.lent("Ada"), library.lent("Bob")])
    first = run(tmp_path)
    assert (first["head"], first["lag_events"], first["dead_letters"], first["unheard"]) == (2, 2, 0, [])
    library.append(tmp_path, "book-emma", [library.lent("Ada")])
    second = run(tmp_path)
    assert second["head"] == 3
    assert second["events_per_s"] > 0
    heads = pl.read_delta(str(tmp_path / "metrics")).filter(pl.col("metric") == "alluvium_head")["value"].to_list()
    assert heads == [2, 3]


def test_processes_are_asked_and_their_numbers_are_of_the_time_between(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with open_store(tmp_path, create=True, observer=PrometheusObserver(registry)) as store, endpoint(registry, 0) as port:
        address = f"http://127.0.0.1:{port}/metrics"
        run(tmp_path, address)
        store.append("book-emma", [Event("Lent", {"reader": "Ada", "days": 1})])
        told = run(tmp_path, address)
    assert told["commit_ms"] > 0
    assert told["conflict_share"] == 0
    commits = pl.read_delta(str(tmp_path / "metrics")).filter(pl.col("metric") == "alluvium_appends_total")
    assert commits["value"].to_list() == [0, 1]
    assert commits["source"].unique().to_list() == [f"127.0.0.1:{port}/metrics"]


def test_one_that_does_not_answer_is_named_and_keeps_nothing_from_the_others(tmp_path: Path) -> None:
    library.append(tmp_path, "book-emma", [library.lent("Ada")])
    told = run(tmp_path, "http://127.0.0.1:1/metrics")
    assert (told["unheard"], told["head"]) == (["127.0.0.1:1/metrics"], 1)


def test_it_stands_beside_the_read_models_that_every_warehouse_has(tmp_path: Path) -> None:
    [spec] = [spec for spec in library.loaded(tmp_path).resolve_all_asset_specs() if spec.key == dg.AssetKey(METRICS)]
    assert (spec.group_name, spec.kinds) == ("warehouse", {"deltalake", "prometheus"})
    assert spec.automation_condition is not None
