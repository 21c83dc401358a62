"""The snapshots of an aggregate as an asset: each run saves the states that are due by its policy."""

# Annotations are not postponed here: Dagster takes contexts and resources from them as they stand.

import re
from typing import Any, Final

import dagster as dg

from pipelines.assets.event_log import EVENT_LOG
from pipelines.automation.conditions import on_cron
from pipelines.domain import Domain
from pipelines.markdown import markdown_table
from pipelines.trying import TRYING, hopeless_at_once, without_values
from pipelines.warehouse import Warehouse
from store import SNAPSHOTS, Aggregate, EventStore, snapshot_due

PREFIX: Final = "snapshots"
EVERY_HOUR: Final = "7 * * * *"
_PREVIEW_ROWS: Final = 8
_KEPT: Final = """
    select count(*) as snapshots, count(distinct stream_id) as streams, coalesce(sum(strlen(state)), 0)::bigint as state_bytes
    from snapshots where aggregate = ?
"""
_LARGEST: Final = """
    select stream_id, version, position, schema_version, taken_at, state from snapshots where aggregate = ? order by version desc, stream_id limit ?
"""


def snapshots_key(aggregate: Aggregate[Any]) -> dg.AssetKey:
    return dg.AssetKey([PREFIX, re.sub(r"\W+", "_", aggregate.name)])


def snapshots(aggregate: Aggregate[Any], domain: Domain) -> dg.AssetsDefinition:
    """Of an aggregate that has a policy. Loads and decisions save snapshots too; this one is for streams that are only appended to."""
    columns = dg.TableSchema([dg.TableColumn(field.name, str(field.type)) for field in SNAPSHOTS])

    @dg.asset(
        key=snapshots_key(aggregate),
        group_name=domain.name,
        description=f"States of {aggregate.name}, from which loads go on instead of from the first event.",
        deps=[EVENT_LOG],
        kinds={"deltalake", "python"},
        owners=domain.owners,
        tags={"domain": domain.name},
        code_version=str(aggregate.schema_version),
        metadata={"dagster/column_schema": columns, "policy": str(aggregate.snapshots)},
        pool=PREFIX,
        retry_policy=TRYING,
        automation_condition=on_cron(EVERY_HOUR),
    )
    def save_due(warehouse: Warehouse) -> dg.MaterializeResult[None]:
        with hopeless_at_once(), warehouse.open(domain) as store, without_values(store):
            return dg.MaterializeResult(metadata={"saved": _saved(store, aggregate), **_told(store, aggregate)})

    return save_due


def _saved(store: EventStore, aggregate: Aggregate[Any]) -> int:
    policy = aggregate.snapshots
    if policy is None or (policy.every_events is None and policy.every_bytes is None):
        return 0                                   # what it asks is asked when an aggregate is loaded
    return snapshot_due(store, aggregate)


def _told(store: EventStore, aggregate: Aggregate[Any]) -> dict[str, Any]:
    ((kept, streams, state_bytes),) = store.sql(_KEPT, [aggregate.name]).fetchall()
    largest = store.sql(_LARGEST, [aggregate.name, _PREVIEW_ROWS]).to_arrow_table()
    preview = dg.MetadataValue.md(markdown_table(largest.to_pylist(), largest.column_names))
    return {"dagster/row_count": kept, "streams": streams, "state_bytes": state_bytes, "preview": preview}
