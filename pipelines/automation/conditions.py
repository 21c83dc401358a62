"""Conditions on which assets and checks have themselves run, and the sensor that asks them."""

from __future__ import annotations

from typing import Any, Final

import dagster as dg

ASKED_EVERY_S: Final = 30


def on_cron(cron: str, timezone: str = "UTC") -> dg.AutomationCondition[Any]:
    """At each of these times, unless it is at work. `AutomationCondition.on_cron` would wait for the log to be materialized, which it never is."""
    return dg.AutomationCondition.cron_tick_passed(cron, timezone) & ~dg.AutomationCondition.in_progress()


def condition_sensor() -> dg.AutomationConditionSensorDefinition:
    """Dagster's own one is stopped until somebody starts it."""
    return dg.AutomationConditionSensorDefinition(
        "conditions",
        target=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=ASKED_EVERY_S,
        description="Runs the assets and the checks that declare when they are to be run.",
    )
