"""Where somebody has published the warehouse, the jobs keep the file in step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from projections import publish_sql, published_at
from tests.pipelines import ledger
from tests.pipelines.jobs.conftest import Run, told
from tests.pipelines.jobs.test_rebuild import DOUBLE, declared
from tests.pipelines.ledger import BALANCES, OWNERS
from tests.projections.duckdb_cli import answers

ASKED = ["select sum(total) from balances", "select build from checkpoints where projection = 'balances'"]


def test_a_switch_and_a_way_back_are_published(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    path = publish_sql(warehouse, [BALANCES]).path
    assert answers(path, ASKED) == [["780"], ["v1"]]
    defs = declared(monkeypatch, warehouse, DOUBLE, OWNERS)
    assert told(run("rebuild", defs), "switch[balances]")["published"] == str(path)
    assert answers(path, ASKED) == [["1560"], ["v1-2"]]
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, projections=(BALANCES, OWNERS)))
    assert run("roll_back", serve_the_one_before={"projections": ["balances"]}).success
    assert answers(path, ASKED) == [["780"], ["v1"]]


def test_maintenance_publishes_what_was_made_since(run: Run, warehouse: str) -> None:
    path = publish_sql(warehouse, [BALANCES]).path
    run("catch_up")
    assert told(run("maintenance"), "publish") == {"published": str(path)}
    assert answers(path, ASKED) == [["780"], ["v1"]]


def test_nothing_is_published_where_nobody_has_asked_for_it(run: Run, warehouse: str) -> None:
    run("catch_up")
    assert told(run("maintenance"), "publish") == {}
    assert not published_at(warehouse).exists()
    assert sorted(file.name for file in Path(warehouse).iterdir()) == ["events", "projections"]
