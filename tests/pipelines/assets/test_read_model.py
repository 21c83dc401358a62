from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.assets.read_model import read_model
from pipelines.warehouse import Warehouse
from projections import Projection, ReadModel
from tests.pipelines.library import ON_LOAN, READERS, append, domain, lent


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def materialized(warehouse: Path, instance: dg.DagsterInstance, projection: Projection = READERS) -> dg.AssetMaterialization:
    asset = read_model(projection, domain, "library")
    result = dg.materialize([asset], resources={"warehouse": Warehouse(uri=str(warehouse))}, instance=instance)
    [event] = result.get_asset_materialization_events()
    return event.materialization


def values(made: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: value.value for name, value in made.metadata.items()}


def test_a_run_tells_what_it_did_and_what_there_is_now(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    append(tmp_path, "book-emma", [lent("Ada"), lent("Bob"), lent("Ada")])
    made = materialized(tmp_path, instance)
    told = values(made)
    assert {name: told[name] for name in ("events", "rows_written", "checkpoint", "lag_events", "dagster/row_count", "files", "delta_version")} == {
        "events": 3, "rows_written": 2, "checkpoint": 3, "lag_events": 0, "dagster/row_count": 2, "files": 1, "delta_version": 0,
    }  # fmt: skip
    [file] = ReadModel.under(str(tmp_path), READERS).files()
    assert told["data_bytes"] == Path(file).stat().st_size
    assert told["preview"].splitlines() == [
        "| reader | loans | last_book |",
        "| --- | ---: | --- |",
        "| Ada | 2 | book-emma |",
        "| Bob | 1 | book-emma |",
    ]
    assert told["events_per_s"] > 0
    assert (made.tags or {})["dagster/data_version"] == "v1@3"


def test_the_plot_grows_by_a_bar_with_each_run(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[tuple[int, int]]] = []
    monkeypatch.setattr("pipelines.assets.read_model.plot", lambda runs: drawn.append([(run.events, run.rows) for run in runs]) or "")
    for reader in ("Ada", "Bob"):
        append(tmp_path, "book-emma", [lent(reader)])
        materialized(tmp_path, instance)
    assert drawn == [[(1, 1)], [(1, 1), (1, 2)]]


def test_changed_code_fails_the_run_and_says_that_it_needs_a_rebuild(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    append(tmp_path, "book-emma", [lent("Ada")])
    materialized(tmp_path, instance, ON_LOAN)
    changed = Projection(
        name="on_loan", version=1, key=ON_LOAN.key, columns=READERS.columns.remove(1).remove(1).insert(0, ON_LOAN.columns.field("book")),
        form=READERS.form.__class__("select stream_id as book, 'Bob' as reader from events", {"reader": "max"}),
    )  # fmt: skip
    result = dg.materialize(
        [read_model(changed, domain, "library")],
        resources={"warehouse": Warehouse(uri=str(tmp_path))}, instance=instance, raise_on_error=False,
    )  # fmt: skip
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "needs rebuild" in (failure.user_failure_data.description or "")
    assert failure.user_failure_data.metadata["state"].value == "needs rebuild"
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
