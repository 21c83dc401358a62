from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from pipelines.assets.event_log import EVENT_LOG, OBSERVE, observation
from pipelines.definitions import CATCH_UP
from store import Event, open_store
from tests.pipelines.library import append, lent, loaded


def test_an_observation_tells_the_head_and_the_size_of_the_log(tmp_path: Path) -> None:
    append(tmp_path, "book-emma", [lent("Ada"), lent("Bob")])
    with dg.DagsterInstance.ephemeral() as instance:
        assert loaded(tmp_path).resolve_job_def(OBSERVE).execute_in_process(instance=instance).success
        [record] = instance.fetch_observations(EVENT_LOG, limit=2).records
    observed = record.asset_observation
    assert observed is not None
    told = {name: value.value for name, value in observed.metadata.items()}
    assert (told["head"], told["dagster/row_count"], told["files"], told["delta_version"]) == (2, 2, 1, 1)
    assert told["data_bytes"] == sum(file.stat().st_size for file in (tmp_path / "events").rglob("*.parquet"))


def test_read_models_are_in_sync_however_the_log_is_observed_between(tmp_path: Path) -> None:
    domain = loaded(tmp_path)
    append(tmp_path, "book-emma", [lent("Ada")])
    with dg.DagsterInstance.ephemeral() as instance:
        for job in (CATCH_UP, OBSERVE, CATCH_UP, OBSERVE):
            assert domain.resolve_job_def(job).execute_in_process(instance=instance).success
            append(tmp_path, "book-emma", [lent("Bob")])
        resolver = CachingStaleStatusResolver(instance, domain.resolve_asset_graph(), LoadingContextForTest(instance))
        states = {name: resolver.get_status(dg.AssetKey(name)) for name in ("lent_events", "readers", "streams")}
    assert states == dict.fromkeys(states, StaleStatus.FRESH)


def test_compaction_is_no_new_data(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        for n in range(3):
            store.append(f"book-{n}", [Event("Lent", {})])
        before = observation(store, str(tmp_path))
        store.compact()  # type: ignore[attr-defined]
        after = observation(store, str(tmp_path))
    assert before.metadata["head"] == after.metadata["head"]
    assert after.metadata["delta_version"].value > before.metadata["delta_version"].value  # type: ignore[operator]


def test_an_empty_log_can_be_observed(tmp_path: Path) -> None:
    with open_store(str(tmp_path), create=True) as store:
        told = observation(store, str(tmp_path)).metadata
    assert (told["head"].value, told["data_bytes"].value) == (0, 0)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_place_is_said_as_any_delta_reader_takes_it(tmp_path: Path, slash: str) -> None:
    with open_store(str(tmp_path), create=True) as store:
        assert observation(store, f"{tmp_path}{slash}").metadata["dagster/uri"].value == f"{tmp_path}/events"
