from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from pipelines.definitions import CATCH_UP, definitions, defs
from pipelines.flights.domain import domain
from pipelines.settings import Settings
from projections import BUILT_IN
from store import Event, open_store


@pytest.fixture
def loaded(tmp_path: Path) -> dg.Definitions:
    return definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(tmp_path)}))


def test_definitions_load_as_dagster_loads_them() -> None:
    dg.Definitions.validate_loadable(defs())


def test_every_projection_is_an_asset_downstream_of_the_events(loaded: dg.Definitions) -> None:
    graph = loaded.resolve_asset_graph()
    assert not graph.get(dg.AssetKey("events")).is_materializable
    for projection in domain.projections:
        asset = graph.get(dg.AssetKey(projection.name))
        assert dg.AssetKey("events") in asset.parent_keys
        assert (asset.group_name, asset.code_version, asset.pools) == (domain.name, str(projection.version), {projection.name})
    assert {graph.get(dg.AssetKey(projection.name)).group_name for projection in BUILT_IN} == {"warehouse"}


def test_the_job_materializes_every_projection_and_tells_what_it_did(tmp_path: Path, loaded: dg.Definitions) -> None:
    with open_store(str(tmp_path), create=True) as store:
        store.append("aircraft-N1", [Event("Unrelated", {})])
    with dg.DagsterInstance.ephemeral() as instance:
        result = loaded.resolve_job_def(CATCH_UP).execute_in_process(instance=instance)
        made = {event.materialization.asset_key.to_user_string(): event.materialization for event in result.get_asset_materialization_events()}
    assert set(made) == {projection.name for projection in (*domain.projections, *BUILT_IN)}
    for materialization in made.values():
        told = {name: value.value for name, value in materialization.metadata.items()}
        assert (told["checkpoint"], told["lag_events"], told["delta_version"]) == (1, 0, 0)
        assert str(told["preview"]).startswith("| ")
        assert {"events", "rows_written", "seconds", "events_per_s", "dagster/row_count", "dagster/uri"} <= set(told)


def test_a_hopeless_failure_is_not_retried(tmp_path: Path, loaded: dg.Definitions) -> None:
    with open_store(str(tmp_path), create=True) as store:
        store.append("aircraft-N1", [Event("Unrelated", {})])
    model = next(iter(domain.projections))
    with dg.DagsterInstance.ephemeral() as instance:
        job = loaded.resolve_job_def(CATCH_UP)
        assert job.execute_in_process(instance=instance).success
        log = next(Path(tmp_path, "projections", model.name, "v1", "_delta_log").glob("*0.json"))
        log.write_bytes(b"")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
    assert [event.step_key for event in result.all_events if event.is_step_failure] == [model.name]
