from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pipelines.jobs.builds import droppable
from projections import Build, Builds, fingerprint
from tests.pipelines.jobs.conftest import Run, told
from tests.pipelines.ledger import BALANCES

NOW = datetime(2026, 1, 10, tzinfo=UTC)
CODE = fingerprint(BALANCES)


def build(name: str, state: str, days_ago: float = 0, made_by: str | None = CODE) -> Build:
    then = NOW - timedelta(days=days_ago)
    return Build("balances", name, 1, made_by, state, then, then if state in ("kept", "serving") else None)


def dropped(*builds: Build, keep: int = 1) -> list[str]:
    return [one.build for one in droppable(BALANCES, builds, keep, NOW)]


def test_the_ones_that_served_last_stay() -> None:
    builds = build("v1", "kept", 9), build("v1-2", "kept", 5), build("v1-3", "kept", 7), build("v1-4", "serving", 1)
    assert dropped(*builds) == ["v1", "v1-3"]
    assert dropped(*builds, keep=2) == ["v1"]
    assert dropped(*builds, keep=0) == ["v1", "v1-3", "v1-2"]


def test_what_is_in_the_making_stays_unless_nobody_is_at_it_any_more() -> None:
    assert dropped(build("v1", "serving", 9), build("v1-2", "making", 5)) == []
    assert dropped(build("v1", "serving", 9), build("v1-2", "making", 0.5, "other code")) == []
    assert dropped(build("v1", "serving", 9), build("v1-2", "making", 5, "other code")) == ["v1-2"]


def test_what_a_crash_left_half_dropped_goes() -> None:
    assert dropped(build("v1", "dropping", 9), build("v1-2", "serving")) == ["v1"]


def test_kept_builds_of_a_warehouse_that_was_never_rebuilt_go_by_version() -> None:
    assert dropped(Build("balances", "v1", 1, None, "kept"), Build("balances", "v2", 2, None, "kept")) == ["v1"]


def test_the_job_drops_old_builds_and_tells_which(run: Run, warehouse: str) -> None:
    run("catch_up")
    for _ in range(2):
        run("rebuild", choose={"projections": ["balances"]})
    assert told(run("drop_builds"), "drop_old_builds") == {"builds": 1, "dropped": ["balances/v1"]}
    assert [one.build for one in Builds(warehouse).of(BALANCES)] == ["v1-2", "v1-3"]
    assert told(run("drop_builds", drop_old_builds={"keep": 0}), "drop_old_builds")["dropped"] == ["balances/v1-2"]
