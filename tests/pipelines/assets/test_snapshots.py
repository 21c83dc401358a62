from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg

from pipelines.assets.snapshots import snapshots, snapshots_key
from pipelines.warehouse import Warehouse
from store import Aggregate, SnapshotPolicy
from tests.pipelines.library import BOOK, append, domain, lent


def run(warehouse: Path, aggregate: Aggregate[int]) -> dict[str, object]:
    result = dg.materialize([snapshots(aggregate, domain)], resources={"warehouse": Warehouse(uri=str(warehouse))})
    [event] = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_a_run_saves_the_states_that_are_due_and_shows_them(tmp_path: Path) -> None:
    append(tmp_path, "book-emma", [lent("Ada", 1), lent("Bob", 2), lent("Ada", 4)])
    append(tmp_path, "book-faust", [lent("Ada")])
    told = run(tmp_path, BOOK)
    assert {name: told[name] for name in ("saved", "dagster/row_count", "streams", "state_bytes")} == {
        "saved": 1, "dagster/row_count": 1, "streams": 1, "state_bytes": 1,
    }  # fmt: skip
    assert "| book-emma | 3 | 3 | 1 |" in str(told["preview"])
    assert run(tmp_path, BOOK)["saved"] == 0


def test_a_policy_that_asks_when_an_aggregate_is_loaded_leaves_nothing_to_a_run(tmp_path: Path) -> None:
    append(tmp_path, "book-emma", [lent("Ada")])
    assert run(tmp_path, replace(BOOK, snapshots=SnapshotPolicy(slow_load_ms=1)))["saved"] == 0


def test_any_name_of_an_aggregate_makes_a_key() -> None:
    assert snapshots_key(replace(BOOK, name="the book's days")) == dg.AssetKey(["snapshots", "the_book_s_days"])
