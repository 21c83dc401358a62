"""What a data engineer sees and does in Dagster's own pages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from projections import Builds, ServingModel
from store import Event, open_store
from tests.pipelines.ui import shop
from tests.pipelines.ui.server import Server

pytestmark = pytest.mark.timeout(600)
expect.set_options(timeout=60_000)


def show(page: Page, name: str) -> None:
    """Keeps a picture where ALLUVIUM_PICTURES says, for a person to look at."""
    if folder := os.environ.get("ALLUVIUM_PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_the_graph_reads_from_events_to_read_models(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/locations/pipelines.definitions/asset-groups/shop/lineage")
    for asset in ("events", "sold_events", "takings", "articles"):
        expect(page.get_by_text(asset, exact=True).first).to_be_visible()
    expect(page.get_by_text("Loading...", exact=False)).to_have_count(0)
    show(page, "graph")


def test_a_materialization_tells_what_it_did(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/assets/takings")
    page.get_by_role("button").filter(has_text="Materialize").first.click()
    server.until(lambda: server.materializations("takings") > 0)
    page.reload()
    expect(page.get_by_text("Latest materialization")).to_be_visible()
    expect(page.get_by_role("cell", name="till-7").first).to_be_visible()
    expect(page.get_by_role("img", name="events of each run").first).to_be_visible()
    page.get_by_text("preview", exact=True).first.scroll_into_view_if_needed()
    show(page, "materialization")


def test_an_append_is_followed_by_itself(server: Server, page: Page, warehouse: Path) -> None:
    with open_store(warehouse) as store:
        position = store.append("till-8", [shop.types.event(shop.Sold("article 9", 1))]).position
    model = ServingModel(str(warehouse), shop.takings)
    server.until(lambda: model.turn().checkpoint == position)
    assert {"till": "till-8", "sales": 1, "cents": 1} in model.rows().to_pylist()
    page.goto(f"{server.url}/locations/pipelines.definitions/sensors/projection_lag")
    expect(page.get_by_text("requested").first).to_be_visible()
    show(page, "sensor")


def test_a_backfill_by_shard_makes_a_build_that_is_promoted(server: Server, page: Page, warehouse: Path) -> None:
    page.goto(f"{server.url}/locations/pipelines.definitions/asset-groups/rebuild_takings/lineage")
    page.get_by_role("button").filter(has_text="Materialize all").first.click()
    page.get_by_role("button", name="All", exact=True).click()
    show(page, "backfill-dialog")
    page.get_by_role("button", name="Launch backfill").click()
    server.until(lambda: server.backfills() == ["COMPLETED_SUCCESS"], patience_s=500)     # seventeen runs, each a process
    page.goto(f"{server.url}/assets/rebuild/takings?view=partitions")
    for shard in ("h0", "h9", "hf"):
        expect(page.get_by_text(shard, exact=True).first).to_be_visible()
    show(page, "backfill")
    page.goto(f"{server.url}/assets/rebuild/takings/promoted")
    expect(page.get_by_text("v1-2").first).to_be_visible()
    show(page, "promotion")
    assert states(warehouse) == {"v1": "kept", "v1-2": "serving"}


def test_metrics_show_how_the_warehouse_is_doing(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/assets/metrics")
    for before in (0, 1):
        page.get_by_role("button").filter(has_text="Materialize").first.click()
        server.until(lambda known=before: server.materializations("metrics") > known)
        page.reload()
    for metric in ("storage_bytes", "lag_s", "events_per_s"):
        expect(page.get_by_text(metric, exact=True).first).to_be_visible()
    show(page, "metrics")


def test_a_check_that_fails_shows_the_rows(server: Server, page: Page, warehouse: Path) -> None:
    """Last, as nothing is well any more."""
    with open_store(warehouse) as store:
        position = store.append("till-9", [Event("Sold", {"article": "unpriced"})]).position
    page.goto(f"{server.url}/assets/events?view=checks")
    page.get_by_role("button", name="Execute all").click()
    page.goto(f"{server.url}/assets/events?view=checks&checkDetail=payloads")
    expect(page.get_by_text("Failed").first).to_be_visible(timeout=120_000)
    show(page, "failing-check")
    page.get_by_text("[Show Markdown]").first.click()
    expect(page.get_by_role("cell", name=str(position), exact=True).first).to_be_visible()
    expect(page.get_by_text("till-9").first).to_be_visible()
    show(page, "failing-rows")


def states(warehouse: Path) -> dict[str, str]:
    return {build.build: build.state for build in Builds(str(warehouse)).of(shop.takings)}
