"""What makes changes behind the store's back come to light: links over what is new, and a head to publish."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from typing import Any

import dagster as dg

from pipelines.assets.event_log import EVENT_LOG
from pipelines.jobs.doer import Dagster
from pipelines.markdown import markdown_table
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from store import EventStore

_SHOWN: int = 50


@dg.op(pool="attest", retry_policy=TRYING, description="Say in the log, by digests, what it holds up to now.")
def attest_events(context: dg.OpExecutionContext, config: Dagster, warehouse: Warehouse) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        heads = store.audit.attest(by=config.by, why=config.why)
        told = {"heads": "\n".join(map(str, heads)) or "none", **_deeds(store)}
    context.log_event(dg.AssetObservation(EVENT_LOG, description="attested", metadata=told))
    context.add_output_metadata({**told, "attested_up_to": max((head.position for head in heads), default=0)})


def _deeds(store: EventStore) -> dict[str, Any]:
    """How many, and the last of them."""
    done = list(store.audit.deeds())
    rows = [{"when": event.recorded_at, "by": deed.by, "what": deed.type, "why": deed.why} for event, deed in done[-_SHOWN:][::-1]]
    return {"deeds": len(done), "last_deeds": dg.MetadataValue.md(markdown_table(rows) if rows else "none")}


@dg.job(description="Attest what the event log holds, and tell the heads to publish where nobody of you can change them.")
def attest() -> None:
    attest_events()
