"""The event log as Dagster sees it: made by applications, observed from here."""

# Annotations are not postponed here: Dagster takes contexts and resources from them as they stand.

from typing import Any, Final

import dagster as dg

from pipelines.assets.columns import log_schema
from pipelines.domain import Domain
from pipelines.warehouse import Warehouse
from store import EventStore

EVENT_LOG: Final = dg.AssetKey("events")
OBSERVE: Final = "observe_events"


def event_log(domain: Domain) -> dg.AssetSpec:
    """No run makes it, so it is external: its state is known by observations."""
    return dg.AssetSpec(
        EVENT_LOG,
        group_name=domain.name,
        kinds={"deltalake"},
        owners=domain.owners,
        tags={"domain": domain.name},
        description="The event log: every fact, in one total order.",
        metadata={"dagster/column_schema": log_schema()},
    )


def observation(store: EventStore, warehouse: str) -> dg.AssetObservation:
    """The log as it is now. Without a data version, though the head would be one: Dagster compares it with what runs saw of the log at their time,
    but reads it of nothing that no run makes, so from the first observation on it would show every read model as out of sync, for good."""
    size, uri = store.size(), f"{warehouse.rstrip('/')}/events"
    head = size.events
    told: dict[str, Any] = {"head": head, "data_bytes": size.data_bytes, "files": size.files, "delta_version": size.delta_version}
    if head:
        last = store.read_all(head - 1, until=head).read_all()
        told["last_recorded_at"] = dg.MetadataValue.timestamp(last["recorded_at"][0].as_py())
    return dg.AssetObservation(
        EVENT_LOG,
        description=f"{head:,} events",
        metadata={**told, "dagster/row_count": head, "dagster/uri": uri},
    )


@dg.op(description="Tell how far the event log is, and how large.")
def observe_log(context: dg.OpExecutionContext, warehouse: Warehouse) -> None:
    with warehouse.open() as store:
        context.log_event(observation(store, warehouse.uri))


@dg.job(name=OBSERVE, description="Report the event log's head, events, bytes and Delta version.")
def observe_events() -> None:
    observe_log()
