"""Building the snapshots of whole categories anew."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from typing import Final

import dagster as dg
from pydantic import Field

from pipelines.domain import Domain
from pipelines.trying import TRYING, hopeless_at_once, without_values
from pipelines.warehouse import Warehouse
from store import rebuild_snapshots

_POOL: Final = "snapshots"


class Aggregates(dg.Config):
    aggregates: list[str] = Field(default=[], description="Their names. None: all that have a policy for snapshots.")


@dg.op(pool=_POOL, retry_policy=TRYING, description="Fold every aggregate of these in full, and save its state.")
def save_all(context: dg.OpExecutionContext, config: Aggregates, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    known = {one.name: one for one in domain.aggregates if one.snapshots is not None}
    if unknown := [name for name in config.aggregates if name not in known]:
        there = ", ".join(known) or "none"
        raise dg.Failure(f"no aggregate {', '.join(unknown)} has a policy for snapshots: take some of {there}", allow_retries=False)
    chosen = [known[name] for name in config.aggregates] or list(known.values())
    with hopeless_at_once(), warehouse.open(domain) as store, without_values(store):
        saved = {aggregate.name: rebuild_snapshots(store, aggregate) for aggregate in chosen}
    context.add_output_metadata({"snapshots": sum(saved.values()), "of": saved})


@dg.job(name="rebuild_snapshots", description="Fold aggregates anew and save their states: after `evolve` has changed.")
def rebuild_all_snapshots() -> None:
    save_all()
