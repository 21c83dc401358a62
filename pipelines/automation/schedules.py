"""What runs by the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg

from pipelines.settings import Settings

DAILY: Final = "5 5 * * *"


def schedules(settings: Settings) -> Iterator[dg.ScheduleDefinition]:
    """All of them run by themselves. The backup has one only where there is a place for it."""
    every = {"ops": {"choose": {"config": {"every": settings.rebuild_all}}}}
    chosen = "all read models" if settings.rebuild_all else "the read models that need it"
    yield _schedule("nightly_rebuild", "rebuild", settings.rebuild_cron, settings, f"Makes {chosen} anew, checks them, and switches.", every)
    yield _schedule("hourly_maintenance", "maintenance", settings.maintenance_cron, settings, "Looks after files, snapshots and old builds.")
    yield _schedule("weekly_verify", "verify", settings.verify_cron, settings, "Reads the whole event log and checks it.")
    yield _schedule("daily_attestation", "attest", settings.attest_cron, settings, "Attests what the log holds, and tells the head to publish.")
    yield _schedule("hourly_checks", "checks", settings.checks_cron, settings, "Checks what came since the last time, and samples of the rest.")
    yield _schedule("weekly_checks_in_full", "checks_in_full", settings.full_checks_cron, settings, "Checks every event, row and snapshot.")
    yield _schedule("hourly_observation", "observe_events", settings.maintenance_cron, settings, "Reports how far the event log is, and how large.")
    # Where nothing happens nothing is run, and freshness would tell of a quiet log as of a Dagster that stands still.
    yield _schedule("daily_catch_up", "catch_up", DAILY, settings, "Looks at every read model once a day, also where nothing happened.")
    if settings.backup:
        yield _schedule("nightly_backup", "backup", settings.backup_cron, settings, "Brings the backup up to date.")


def _schedule(
    name: str, job: str, cron: str, settings: Settings, description: str, run_config: Mapping[str, Any] | None = None
) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
        run_config=run_config,
    )
