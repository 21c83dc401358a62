"""Retention as a job: what streams hide is taken out of the log, what closed streams hold moves to the archive."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

import dagster as dg
from pydantic import Field

from pipelines.jobs.doer import Dagster
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse


class Removing(Dagster):
    why: str = Field(default="what is hidden is not kept", description="Why. It stays in the audit for good.")
    dry_run: bool = Field(default=False, description="Say what would be removed; change nothing.")


class Archiving(dg.Config):
    tombstoned: bool = Field(default=False, description="Tombstoned streams, too.")
    dry_run: bool = Field(default=False, description="Say what would be moved; change nothing.")


@dg.op(pool="maintenance", retry_policy=TRYING, description="Take what streams hide out of the log; husks stay at its places.")
def remove_hidden(context: dg.OpExecutionContext, config: Removing, warehouse: Warehouse) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        done = store.retention.remove(by=config.by, why=config.why, dry_run=config.dry_run)
    written = {"bytes_before": done.bytes_before, "bytes_after": done.bytes_after}
    context.add_output_metadata({"dry_run": config.dry_run, "events": done.events, "streams": len(done.streams), **written})


@dg.op(pool="maintenance", retry_policy=TRYING, description="Move the events of closed streams to files under events/archive/.")
def archive_closed(context: dg.OpExecutionContext, config: Archiving, warehouse: Warehouse) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        done = store.retention.archive(config.tombstoned, dry_run=config.dry_run)
    moved = {"files_parted": done.files_before, "files_made": done.files_after, "archived_bytes": done.data_bytes}
    context.add_output_metadata({"dry_run": config.dry_run, "events": done.events, **moved})


@dg.job(description="Remove what streams hide, and archive what closed streams hold: what a writer's upkeep does once a day, now and in full.")
def retention() -> None:
    remove_hidden()
    archive_closed()
