from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from pipelines.flights.domain import domain
from pipelines.materialize import MaterializeError, materialize_projections
from projections import BUILT_IN
from store import Event, open_store

HOUSE = Path(__file__).parent.parent.parent
NAMES = {projection.name for projection in (*domain.projections, *BUILT_IN)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory like the repository's top level, and current."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(HOUSE / "dagster.yaml", tmp_path)
    with open_store(str(tmp_path / "warehouse"), create=True) as store:
        store.append("aircraft-N1", [Event("Unrelated", {})])
    return tmp_path


def test_all_projections_are_caught_up_and_the_run_is_kept_under_dot_dagster(home: Path) -> None:
    assert {made.name for made in materialize_projections(str(home / "warehouse"))} == NAMES
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS]
    assert {path.name for path in home.iterdir()} == {"dagster.yaml", "warehouse", ".dagster"}


def test_without_a_dagster_yaml_the_state_is_still_in_dot_dagster(home: Path) -> None:
    (home / "dagster.yaml").unlink()
    materialize_projections(str(home / "warehouse"))
    assert {path.name for path in home.iterdir()} == {"warehouse", ".dagster"}


def test_a_second_run_finds_nothing_to_do(home: Path) -> None:
    materialize_projections(str(home / "warehouse"))
    assert [(made.events, made.rows) for made in materialize_projections(str(home / "warehouse"))] == [(0, 0)] * len(NAMES)


def test_one_failing_projection_does_not_stop_the_others(home: Path) -> None:
    failing, *others = domain.projections
    warehouse = home / "warehouse"
    materialize_projections(str(warehouse))
    (warehouse / "projections" / failing.name / "v1" / "_delta_log" / f"{0:020d}.json").write_bytes(b"")
    with open_store(str(warehouse)) as store:
        store.append("aircraft-N1", [Event("Unrelated", {})])
    with pytest.raises(MaterializeError, match=f"{failing.name}.*empty"):
        materialize_projections(str(warehouse))
    for other in others:
        assert (warehouse / "projections" / other.name / "v1" / "_delta_log" / f"{1:020d}.json").exists()
