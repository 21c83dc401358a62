"""What Dagster loads: the assets of the chosen domain with their checks, the jobs that look after them, and what runs by itself."""

from __future__ import annotations

from typing import Final

import dagster as dg

from pipelines.assets.domain_assets import domain_assets
from pipelines.assets.event_log import observe_events
from pipelines.automation.alerts import alert_sensor
from pipelines.automation.conditions import condition_sensor
from pipelines.automation.lag_sensor import lag_sensor
from pipelines.automation.lag_watch import LagWatch
from pipelines.automation.schedules import schedules
from pipelines.checks.domain_checks import domain_checks
from pipelines.domain import Domain, load_domain
from pipelines.executors import executor_of
from pipelines.jobs.attesting import attest
from pipelines.jobs.builds import drop_builds, roll_back
from pipelines.jobs.erasing import erase, reapply
from pipelines.jobs.maintenance import maintenance
from pipelines.jobs.rebuild import promote, rebuild
from pipelines.jobs.retention import retention
from pipelines.jobs.safety import backup_job, verify
from pipelines.jobs.shards import shard_assets
from pipelines.jobs.snapshots import rebuild_all_snapshots
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from projections import BUILT_IN

CATCH_UP: Final = "catch_up"


def definitions(settings: Settings) -> dg.Definitions:
    """One domain over one warehouse."""
    domain, warehouse = load_domain(settings.domain), Warehouse(uri=settings.warehouse, executor=settings.executor)
    executor_of(settings.executor)                 # one that is none is refused now, not when somebody rebuilds at night
    selection = dg.AssetSelection.assets(*(projection.name for projection in (*domain.projections, *BUILT_IN))).without_checks()
    catch_up = dg.define_asset_job(CATCH_UP, selection=selection, description="Bring every read model up to the head of the log.")
    return dg.Definitions.merge(
        dg.Definitions(
            assets=list(domain_assets(domain, settings)),
            jobs=[catch_up, observe_events],
            resources={"warehouse": warehouse, "domain": domain},
            # A process per step costs half a minute where the step takes half a second.
            executor=dg.in_process_executor,
        ),
        domain_checks(domain),
        upkeep(domain, settings),
        automation(domain, settings, warehouse, catch_up),
    )


def upkeep(domain: Domain, settings: Settings) -> dg.Definitions:
    """Rebuilding, and looking after what is there."""
    return dg.Definitions(
        assets=list(shard_assets((*domain.projections, *BUILT_IN))),
        jobs=[
            rebuild, promote, roll_back, drop_builds, maintenance, rebuild_all_snapshots, verify, attest, backup_job(settings.backup), erase, reapply,
            retention,
        ],
    )


def automation(domain: Domain, settings: Settings, warehouse: Warehouse, catch_up: dg.UnresolvedAssetJobDefinition) -> dg.Definitions:
    """What runs by itself."""
    watch = LagWatch(warehouse, (*domain.projections, *BUILT_IN))
    sensors = [lag_sensor(watch, catch_up, settings.sensor_s), alert_sensor(settings.warehouse, settings.alert_url), condition_sensor()]
    return dg.Definitions(sensors=sensors, schedules=list(schedules(settings)))


@dg.definitions
def defs() -> dg.Definitions:
    return definitions(Settings.read())
