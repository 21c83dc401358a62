"""Looking after the files: the log, the read models, the snapshots. Safe beside writers, readers and runners."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from pipelines.domain import Domain
from pipelines.jobs.builds import drop_old_builds
from pipelines.jobs.choosing import named
from pipelines.jobs.publishing import publish
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import Builds, ReadModel
from store import Maintained, open_store

POOL: Final = "maintenance"


@dg.op(pool=POOL, retry_policy=TRYING, description="Merge small files of the event log, write a checkpoint, clean the log, vacuum.")
def maintain_log(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    with hopeless_at_once(), open_store(warehouse.uri) as store:
        context.add_output_metadata(told(store.maintain()))


@dg.op(pool=POOL, retry_policy=TRYING, description="The same for the table of every read model that serves.")
def maintain_read_models(context: dg.OpExecutionContext, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    builds, done, left = Builds(warehouse.uri), dict[str, Maintained](), dict[str, str]()
    for projection in named(domain, []):
        with hopeless_at_once():
            serving = builds.serving(projection)
            if serving is None:
                left[projection.name] = "it was never made"
            elif serving.version != projection.version:
                left[projection.name] = f"version {serving.version} serves, and {projection.version} is declared: rebuild it"
            else:
                done[projection.name] = ReadModel(builds.uri(projection.name, serving.build), projection).maintain()
    totals = [told(one) for one in done.values()]
    summed = {name: sum(one[name] for one in totals) for name in (totals[0] if totals else {})}
    context.add_output_metadata({**summed, "tables": len(done), "left_alone": left})


@dg.op(pool=POOL, retry_policy=TRYING, description="The same for the table of snapshots.")
def maintain_snapshots(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    with hopeless_at_once(), open_store(warehouse.uri) as store:
        context.add_output_metadata(told(store.snapshots.maintain()))


def told(done: Maintained) -> Mapping[str, Any]:
    """As metadata: files that were merged, into how many; checkpoint; commits that were summed up; files that nobody needs any more."""
    return {
        "files_merged": sum(merge.files_before for merge in done.compacted),
        "files_made": sum(merge.files_after for merge in done.compacted),
        "merged_bytes": sum(merge.bytes_before for merge in done.compacted),
        "made_bytes": sum(merge.data_bytes for merge in done.compacted),
        "checkpoint_bytes": done.checkpointed.data_bytes,
        "log_files_removed": done.cleaned.files,
        "files_removed": done.vacuumed.files,
        "removed_bytes": done.cleaned.data_bytes + done.vacuumed.data_bytes,
        "seconds": sum(merge.seconds for merge in done.compacted) + done.checkpointed.seconds + done.cleaned.seconds + done.vacuumed.seconds,
    }


@dg.job(description="Look after the files of the log, the read models and the snapshots; drop old builds; publish anew.")
def maintenance() -> None:
    maintain_log()
    maintain_read_models()
    maintain_snapshots()
    drop_old_builds()
    publish()
