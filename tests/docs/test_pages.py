"""What the README and the pages of docs/ show is what happens: every block of code in them is run or validated as it stands."""

from __future__ import annotations

import os
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.metrics import Sample, Samples
from tests.docs.pages import HOUSE, blocks, pages
from tests.docs.running import Page

NOT_RUN = {"docs/model.md": 1, "docs/operations.md": 1, "docs/other-tools.md": 2, "docs/projections.md": 1}
"""So many blocks of a page nobody runs, each with its reason above it."""

WIDEST = 115


def metrics_kept() -> None:
    lag = Sample("", "alluvium_lag_seconds", '{"projection":"fleet"}', 3.0)
    Samples("warehouse").add(datetime(2013, 1, 1, tzinfo=UTC), [lag], datetime(2012, 1, 1, tzinfo=UTC))


PREPARED = {"docs/dagster.md": metrics_kept}
"""What is there already when a page begins, where the page cannot make it."""


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page)])
def test_every_block_of_the_page_does_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    found = blocks(page)
    if any("s3://" in block.text for block in found if block.language == "python"):
        request.getfixturevalue("s3_environment")
        request.getfixturevalue("documented_buckets")
    for name in [name for name in os.environ if name.startswith("ALLUVIUM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    PREPARED.get(page, lambda: None)()
    running = Page(f"page_{Path(page).stem}")
    try:
        for block in found:
            running.run(block)
    finally:
        running.close()


def test_what_nobody_runs_is_counted() -> None:
    assert Counter(block.page for page in pages() for block in blocks(page) if block.not_run) == NOT_RUN


def test_no_code_is_wider_than_a_page_of_the_site() -> None:
    wide = [f"{block}: {line}" for page in pages()[1:] for block in blocks(page) for line in block.text.splitlines() if len(line) > WIDEST]
    assert wide == []


def test_every_link_of_the_readme_leads_somewhere() -> None:
    """Those of the other pages are looked at when the site is built."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (HOUSE / "README.md").read_text())
    assert links
    assert [link for link in links if not (HOUSE / link).exists()] == []
