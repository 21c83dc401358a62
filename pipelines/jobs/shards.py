"""A rebuild as a backfill: one asset for each projection that goes by stream, partitioned by shard, and one that lets the build serve."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Iterator, Sequence
from typing import Any, Final

import dagster as dg

from pipelines.executors import executor_of
from pipelines.jobs.rebuild import check, make, switch
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import SHARDS, Build, Filled, Projection, fill_build

PARTITIONS: Final = dg.StaticPartitionsDefinition(list(SHARDS))
"""Each a run of a backfill, on whatever machine the deployment runs it. Not more of them: a run costs seconds before its first line of work, and
one may deal its shard out as finer ones."""


def shard_assets(projections: Sequence[Projection]) -> Iterator[dg.AssetsDefinition]:
    """Those that are not by stream have none: the job `rebuild` is for them."""
    for projection in projections:
        if projection.by_stream:
            yield _shards(projection)
            yield _promoted(projection)


def _key(projection: Projection) -> dg.AssetKey:
    return dg.AssetKey(["rebuild", projection.name])


def _group(projection: Projection) -> str:
    """Of its own: all assets of a page are backfilled by one button, and a shard of a projection that is done begins the next build of it."""
    return f"rebuild_{projection.name}"


def _shards(projection: Projection) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(projection),
        # Without an edge from the log: beside each read model its rebuild would only blur what is made of what.
        group_name=_group(projection),
        kinds={"deltalake", projection.form.engine},
        code_version=str(projection.version),
        partitions_def=PARTITIONS,
        retry_policy=TRYING,
        description=f"Rows of a new build of `{projection.name}`, shard by shard, beside the one that serves. "
        f"Backfill it together with `rebuild/{projection.name}/promoted`, which then lets the build serve.",
    )
    def shards(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        with hopeless_at_once(), warehouse.open() as store:
            executor = executor_of(warehouse.executor)
            build, done = fill_build(store, warehouse.uri, projection, context.partition_keys, executor=executor)
        return dg.MaterializeResult(metadata=_told(projection, build, done))

    return shards


def _promoted(projection: Projection) -> dg.AssetsDefinition:
    """After the last shard, in the same backfill, or whenever somebody says so: a run of its own."""

    @dg.op(name=f"of_{projection.name}", ins={"shards": dg.In(dg.Nothing)}, description="When all shards are there.")
    def of_projection() -> str:
        return projection.name

    @dg.graph_asset(
        key=["rebuild", projection.name, "promoted"],
        group_name=_group(projection),
        kinds={"deltalake", projection.form.engine},
        ins={"shards": dg.AssetIn(_key(projection))},
        description=f"The build that `rebuild/{projection.name}` has filled: published in one commit, caught up with the log, checked, and serving.",
    )
    def promoted(shards: Any) -> Any:
        return switch(check(make(of_projection(shards))))

    return promoted


def _told(projection: Projection, build: Build, done: Filled) -> dict[str, Any]:
    left = f"fill {', '.join(done.left)}" if done.left else f"materialize rebuild/{projection.name}/promoted"
    told = {"build": build.build, "events": done.events, "rows_written": done.rows, "seconds": done.seconds, "until": done.until}
    return {**told, "shards_left": len(done.left), "next": left}
