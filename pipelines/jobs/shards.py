"""A full rebuild as a backfill: one asset for each projection that goes by stream, partitioned by shard."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import SHARDS, Build, Builds, Filled, Projection, ReadModel, fill_shards

RANGES: Final = {f"{first}-{second}": (first, second) for first, second in zip(SHARDS[::2], SHARDS[1::2], strict=True)}
"""The partitions, each a run of a backfill. Two shards, as a run costs seconds before its first line of work, and a pass over the landing files."""
PARTITIONS: Final = dg.StaticPartitionsDefinition(list(RANGES))


def shard_assets(projections: Sequence[Projection]) -> Iterator[dg.AssetsDefinition]:
    """Those that are not by stream have none: the job `rebuild` is for them."""
    yield from (_shard_asset(projection) for projection in projections if projection.by_stream)


def _shard_asset(projection: Projection) -> dg.AssetsDefinition:
    @dg.asset(
        key=["rebuild", projection.name],
        # Without an edge from the log: beside each read model its rebuild would only blur what is made of what.
        group_name="rebuild",
        kinds={"deltalake", projection.form.engine},
        code_version=str(projection.version),
        partitions_def=PARTITIONS,
        retry_policy=TRYING,
        description=f"A new build of `{projection.name}` beside the one that serves, shard by shard. When all are there, run the job `promote`.",
    )
    def shards(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        builds = Builds(warehouse.uri)
        with hopeless_at_once(), warehouse.open() as store:
            build = builds.beside(projection)
            shards = [shard for key in context.partition_keys for shard in RANGES[key]]
            done = fill_shards(store, ReadModel(builds.uri(projection.name, build.build), projection), shards)
        return dg.MaterializeResult(metadata=_told(build, done))

    return shards


def _told(build: Build, done: Filled) -> dict[str, Any]:
    left = f"fill {', '.join(done.left)}" if done.left else "run the job `promote`"
    told = {"build": build.build, "events": done.events, "rows_written": done.rows, "seconds": done.seconds, "until": done.until}
    return {**told, "shards_left": len(done.left), "next": left}
