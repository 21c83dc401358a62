"""The site: it builds without a warning, holds every page, and fetches nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown import markdown
from playwright.sync_api import Locator, Page, TimeoutError, sync_playwright

from docs.name_links import NameLinksExtension
from docs.source_links import SourceLinksExtension
from tests.docs.pages import HOUSE, pages


class Configuration(yaml.SafeLoader):
    """Takes what the environment would say as nothing."""


Configuration.add_constructor("!ENV", lambda loader, node: "")


def configured() -> dict[str, Any]:
    told: dict[str, Any] = yaml.load((HOUSE / "mkdocs.yml").read_text(), Configuration)
    return told


def navigated(entry: Any) -> Iterator[str]:
    match entry:
        case str():
            yield entry
        case dict():
            yield from (page for value in entry.values() for page in navigated(value))
        case list():
            yield from (page for value in entry for page in navigated(value))


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(navigated(configured()["nav"])) == sorted(page.removeprefix("docs/") for page in pages() if page != "README.md")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built aside, of copies: a build writes beside its configuration."""
    house = tmp_path_factory.mktemp("house")
    for part in ("docs", "store", "projections", "pipelines"):
        shutil.copytree(HOUSE / part, house / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("mkdocs.yml", "README.md", "pyproject.toml"):
        shutil.copy(HOUSE / part, house / part)
    built = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=house, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return house / ".site"


def test_every_page_is_there_and_found_by_a_search(site: Path) -> None:
    found = {item["location"].partition("#")[0] for item in json.loads((site / "search.json").read_text())["items"]}
    for page in navigated(configured()["nav"]):
        html = page.removesuffix(".md") + ".html"
        assert (site / html).exists(), html
        assert html.removesuffix("index.html") in {name.removesuffix("index.html") for name in found}, html


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    """Links may lead there; scripts, styles, fonts and pictures may not."""
    fetched = re.compile(r"""<(?:script|link|img|iframe|source|video)\b[^>]*?(?:src|href)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import""")
    files = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert [str(file.relative_to(site)) for file in files if fetched.search(file.read_text())] == []


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    """Also those that the generator does not look at: into the reference, and to files that are no pages."""
    broken = []
    for page in site.rglob("*.html"):
        for link in re.findall(r'<a\b[^>]*?href="([^"]+)"', page.read_text()):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link) or page.name == "404.html":
                continue
            target = (page.parent / path).resolve() if path else page
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (anchor and f'id="{anchor}"' not in target.read_text()):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert broken == []


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def searched(page: Page) -> Locator:
    """Where to write what is searched for: it opens once the page's script has begun, which nothing tells."""
    box = page.get_by_role("combobox")
    for _ in range(60):
        page.keyboard.press("Control+k")
        with suppress(TimeoutError):
            box.wait_for(timeout=1000)
            break
    return box


def test_a_reader_without_a_network_finds_what_is_searched_for(served: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium: apt-get install chromium")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{served}/how-to/unique-values.html")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")      # nothing sticks out of a phone
        page.goto(f"{served}/index.html")
        searched(page).fill("wait_for")
        page.get_by_text(re.compile(r"^\s*[1-9]\d* results?\s*$")).wait_for()
        browser.close()
    assert [url for url in asked if not url.startswith((served, "data:", "blob:"))] == []


def test_a_link_into_the_sources_leads_to_the_repository_that_is_named() -> None:
    text = "[errors](../store/errors.py)"
    assert markdown(text, extensions=[SourceLinksExtension(repository="https://forge.example/blob/main")]) == (
        '<p><a href="https://forge.example/blob/main/store/errors.py">errors</a></p>'
    )
    assert markdown(text, extensions=[SourceLinksExtension()]) == "<p><span>errors</span></p>"
    with pytest.raises(ValueError, match=r"there is no store/gone\.py"):
        markdown("[errors](../store/gone.py)", extensions=[SourceLinksExtension()])


@pytest.mark.parametrize(("code", "leads_to"), [
    ("OutcomeUnknownError", "store.OutcomeUnknownError"),
    ("wait_for(model, 3)", "projections.wait_for"),
    ("append_table", "store.EventStore.append_table"),
    ("as_of", None),
    ("Observer", None),
    ("load", None),
    ("store.head()", None),
])
def test_a_public_name_in_code_leads_to_the_reference(code: str, leads_to: str | None) -> None:
    """But no word that has other meanings, and no name that two packages have."""
    linked = f'<autoref identifier="{leads_to}"><code>{code}</code></autoref>' if leads_to else f"<code>{code}</code>"
    assert markdown(f"By `{code}`, then", extensions=[NameLinksExtension()]) == f"<p>By {linked}, then</p>"
    assert "autoref" not in markdown(f"# `{code}`\n\n[`{code}`](elsewhere)", extensions=[NameLinksExtension()])
