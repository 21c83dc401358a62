"""Building snapshots: those that are due, or of whole categories anew."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Callable, Sequence
from typing import Any, Final

import dagster as dg
from pydantic import Field

from pipelines.domain import Domain
from pipelines.jobs.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from store import Aggregate, EventStore, rebuild_snapshots, snapshot_due

_POOL: Final = "snapshots"


class Aggregates(dg.Config):
    aggregates: list[str] = Field(default=[], description="Their names. None: all that have a policy for snapshots.")


@dg.op(pool=_POOL, retry_policy=TRYING, description="Save the states whose policies ask for it, by events or bytes since the last snapshot.")
def save_due(context: dg.OpExecutionContext, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    _save(context, warehouse, [one for one in domain.aggregates if _counts(one)], snapshot_due)


@dg.op(pool=_POOL, retry_policy=TRYING, description="Fold every aggregate of these in full, and save its state.")
def save_all(context: dg.OpExecutionContext, config: Aggregates, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    known = {one.name: one for one in domain.aggregates if one.snapshots is not None}
    if unknown := [name for name in config.aggregates if name not in known]:
        there = ", ".join(known) or "none"
        raise dg.Failure(f"no aggregate {', '.join(unknown)} has a policy for snapshots: take some of {there}", allow_retries=False)
    _save(context, warehouse, [known[name] for name in config.aggregates] or list(known.values()), rebuild_snapshots)


def _counts(aggregate: Aggregate[Any]) -> bool:
    """Does its policy ask by what is in the log? The others ask when an aggregate is loaded."""
    policy = aggregate.snapshots
    return policy is not None and (policy.every_events is not None or policy.every_bytes is not None)


def _save(
    context: dg.OpExecutionContext, warehouse: Warehouse, aggregates: Sequence[Aggregate[Any]], save: Callable[[EventStore, Aggregate[Any]], int]
) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        saved = {aggregate.name: save(store, aggregate) for aggregate in aggregates}
    context.add_output_metadata({"snapshots": sum(saved.values()), "of": saved})


@dg.job(name="rebuild_snapshots", description="Fold aggregates anew and save their states: after `evolve` has changed.")
def rebuild_all_snapshots() -> None:
    save_all()
