"""What keeps events from being lost to damage: the whole log read and checked, and a copy in another place."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from typing import Any, Final

import dagster as dg
from pydantic import Field

from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from store import Verified
from store import backup as copy_log
from store import verify as verify_log

_SHOWN: Final = 50


class Place(dg.Config):
    to: str = Field(default="", description="A directory or an object-store URI. None: that of ALLUVIUM_BACKUP.")


@dg.op(pool="verify", retry_policy=TRYING, description="Read the whole event log, and say what is wrong with it.")
def verify_events(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    with hopeless_at_once():
        found = verify_log(warehouse.uri)
    if not found.sound:
        raise dg.Failure(f"the event log is damaged, the first of it: {found.findings[0]}", metadata=_told(found), allow_retries=False)
    context.add_output_metadata(_told(found))


def _told(found: Verified) -> dict[str, Any]:
    damage = sum(finding.damage for finding in found.findings)
    listed = "\n".join(f"- {finding}" for finding in found.findings[:_SHOWN]) or "none"
    seen = {"events": found.events, "files": found.files, "data_bytes": found.data_bytes, "delta_version": found.version, "seconds": found.seconds}
    return {**seen, "damage": damage, "notes": len(found.findings) - damage, "findings": dg.MetadataValue.md(listed)}


def backup_job(place: str | None) -> dg.JobDefinition:
    """`place`: where the backup is, if nobody says otherwise."""

    @dg.op(pool="backup", retry_policy=TRYING, description="Bring the backup of the event log up to its head; only files that are new are copied.")
    def copy_events(context: dg.OpExecutionContext, config: Place, warehouse: Warehouse) -> None:
        if not (to := config.to or place):
            raise dg.Failure("there is no place for the backup: set ALLUVIUM_BACKUP, or give `to`", allow_retries=False)
        with hopeless_at_once():
            done = copy_log(warehouse.uri, to)
        told = {"files_copied": done.files_copied, "files_kept": done.files_kept, "files_removed": done.files_removed}
        recorded_at = "never" if done.recorded_at is None else done.recorded_at.isoformat()
        context.add_output_metadata(
            {**told, "copied_bytes": done.copied_bytes, "seconds": done.seconds, "position": done.position, "recorded_at": recorded_at, "to": to}
        )

    @dg.job(description="Bring the backup of the event log up to date, and open to be restored from.")
    def backup() -> None:
        copy_events()

    return backup


@dg.job(description="Read the whole event log and check it; writers may go on.")
def verify() -> None:
    verify_events()
