from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.automation.conditions import condition_sensor, on_cron


def definitions() -> dg.Definitions:
    @dg.asset_check(asset=dg.AssetKey("events"), automation_condition=on_cron("0 * * * *"))
    def hourly() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return dg.Definitions(assets=[dg.AssetSpec("events")], asset_checks=[hourly], sensors=[condition_sensor()])


def test_a_check_runs_at_each_of_its_times_and_at_no_other() -> None:
    defs, start = definitions(), datetime(2026, 1, 1, 11, 59, 30, tzinfo=UTC)
    dg.Definitions.validate_loadable(defs)
    with dg.DagsterInstance.ephemeral() as instance:
        cursor, asked = None, list[int]()
        for minutes in (0, 1, 2, 61, 62):
            now = start + timedelta(minutes=minutes)
            selected = dg.AssetSelection.all_asset_checks()
            result = dg.evaluate_automation_conditions(defs, instance, selected, evaluation_time=now, cursor=cursor)
            cursor = result.cursor
            asked.append(result.total_requested)
    assert asked == [0, 1, 0, 1, 0]


def test_the_sensor_runs_by_itself() -> None:
    assert condition_sensor().default_status is dg.DefaultSensorStatus.RUNNING
