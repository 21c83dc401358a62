from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from store import open_store
from tests.pipelines.ui import shop
from tests.pipelines.ui.server import Server


@pytest.fixture(scope="package")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a shop that has sold a little."""
    place = tmp_path_factory.mktemp("shop") / "warehouse"
    with open_store(place, create=True) as store:
        for number in range(40):
            store.append(f"till-{number % 8}", [shop.types.event(shop.Sold(f"article {number % 5}", 100 + number))])
    return place


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory, warehouse: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("dagster"), warehouse, "shop:domain") as server:
        yield server


@pytest.fixture
def page() -> Iterator[Page]:
    """In a browser of its own. While one is open, Playwright keeps an event loop running in this thread, where no other test could run its own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        yield page
        browser.close()
