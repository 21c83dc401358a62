from __future__ import annotations

import dagster as dg
import pytest

from pipelines.automation.schedules import schedules
from pipelines.settings import Settings
from tests.pipelines.ledger import loaded


def named(**given: str) -> dict[str, dg.ScheduleDefinition]:
    settings = Settings.read({f"ALLUVIUM_{name.upper()}": value for name, value in given.items()})
    return {schedule.name: schedule for schedule in schedules(settings)}


def test_each_runs_by_itself_and_names_a_job_that_there_is() -> None:
    defs = loaded("w", backup="/elsewhere")
    dg.Definitions.validate_loadable(defs)
    for schedule in named(backup="/elsewhere").values():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert defs.resolve_job_def(schedule.job_name).description


def test_the_backup_has_a_schedule_only_where_there_is_a_place_for_it() -> None:
    assert "nightly_backup" not in named()
    assert "nightly_backup" in named(backup="s3://bucket/backup")


def test_times_and_their_zone_are_settings() -> None:
    nightly = named(rebuild_cron="5 1 * * 6", timezone="Europe/Berlin")["nightly_rebuild"]
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("5 1 * * 6", "Europe/Berlin")


@pytest.mark.parametrize("given", [{"rebuild_cron": "61 * * * *"}, {"maintenance_cron": "often"}, {"timezone": "Mars/Olympus"}])
def test_a_time_that_makes_no_sense_is_refused_by_name(given: dict[str, str]) -> None:
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=next(iter(given.values())).replace("*", r"\*")):
        named(**given)


@pytest.mark.parametrize(("said", "every"), [({}, False), ({"rebuild": "all"}, True)])
def test_what_is_rebuilt_by_night_is_a_setting_and_fits_the_job(said: dict[str, str], every: bool) -> None:
    schedule, defs = named(**said)["nightly_rebuild"], loaded("w")
    with dg.build_schedule_context() as context:
        [request] = schedule.evaluate_tick(context).run_requests or []
    assert request.run_config == {"ops": {"choose": {"config": {"every": every}}}}
    assert dg.validate_run_config(defs.resolve_job_def("rebuild"), request.run_config)
