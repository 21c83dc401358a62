"""Rebuilding beside what serves: choose, make the rows anew, check them, and only then switch."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from typing import Any, Final, NamedTuple

import dagster as dg
from pydantic import Field

from pipelines.domain import Domain
from pipelines.executors import executor_of
from pipelines.jobs.checking import check_build
from pipelines.jobs.choosing import choose, choose_made, named
from pipelines.jobs.publishing import publish_again
from pipelines.metrics import Observers
from pipelines.trying import TRYING, hopeless_at_once, later_if_under_way
from pipelines.warehouse import Warehouse
from projections import Builds, Declined, Folded, ReadModel, make_build

POOL: Final = "rebuild"


class Candidate(NamedTuple):
    """A build of a projection, by their names, on its way to serving."""

    projection: str
    build: str


class ShardsLogged:
    """An observer: the run's log tells of each task of a rebuild that is dealt out, as it is done, and of what an engine did not do."""

    def __init__(self, log: dg.DagsterLogManager) -> None:
        self._log = log

    def record(self, measurement: Any) -> None:
        if isinstance(measurement, Folded):
            told = f"{measurement.events:,} events gave {measurement.rows:,} rows in {measurement.seconds:.1f} s"
            self._log.info(f"task {measurement.done} of {measurement.of}, shards {', '.join(measurement.shards)}: {told}")
        if isinstance(measurement, Declined):
            self._log.warning(f"{measurement.engine} did not make the rows of {measurement.projection}, which are made here: {measurement.why}")


class Demands(dg.Config):
    """On a build that is to serve."""

    most_events: int = Field(default=2_000_000, ge=1, description="About so many are folded anew to compare rows with, at most.")
    may_be_empty: bool = Field(default=False, description="It may have no rows where the one that serves has some.")


@dg.op(pool=POOL, retry_policy=TRYING, description="Make the rows anew beside those that serve, or go on with that, up to the head of the log.")
def make(context: dg.OpExecutionContext, warehouse: Warehouse, domain: dg.ResourceParam[Domain], name: str) -> Candidate:
    [projection] = named(domain, [name])
    observer = Observers(warehouse.observer(), ShardsLogged(context.log))
    with hopeless_at_once(), later_if_under_way(), warehouse.open() as store:
        made = make_build(store, warehouse.uri, projection, observer=observer, executor=executor_of(warehouse.executor))
    done = made.filled
    told = {"build": made.build.build, "checkpoint": done.checkpoint, "events": done.events, "rows_written": done.rows, "seconds": done.seconds}
    context.add_output_metadata(told)
    return Candidate(name, made.build.build)


@dg.op(retry_policy=TRYING, description="Is the build right, as far as can be seen before it serves? If not, it does not.")
def check(
    context: dg.OpExecutionContext, config: Demands, warehouse: Warehouse, domain: dg.ResourceParam[Domain], candidate: Candidate
) -> Candidate:
    [projection] = named(domain, [candidate.projection])
    model = ReadModel(Builds(warehouse.uri).uri(*candidate), projection)
    with hopeless_at_once(), warehouse.open() as store:
        found = check_build(store, warehouse.uri, model, config.most_events, config.may_be_empty)
    if found.problems:
        problem = f"{candidate.build} of {candidate.projection} must not serve, and what serves goes on: {'; '.join(found.problems)}"
        raise dg.Failure(problem, metadata=found.told, allow_retries=False)
    context.add_output_metadata(found.told)
    return candidate


@dg.op(retry_policy=TRYING, description="Let it serve from now on, in one commit. The one that did is kept.")
def switch(context: dg.OpExecutionContext, warehouse: Warehouse, domain: dg.ResourceParam[Domain], candidate: Candidate) -> None:
    [projection], builds = named(domain, [candidate.projection]), Builds(warehouse.uri)
    with hopeless_at_once():
        before = builds.serving(projection)
        builds.switch(projection, candidate.build)
    told = {"serving": candidate.build, "before": "none" if before is None else before.build}
    context.add_output_metadata({**told, **publish_again(warehouse, domain)})


@dg.job(description="Make read models anew beside those that serve, check them, and switch: those that need it, or those named.")
def rebuild() -> None:
    choose().map(make).map(check).map(switch)


@dg.job(description="Publish builds that a backfill of `rebuild/…` has filled, catch them up, check them, and switch to them.")
def promote() -> None:
    choose_made().map(make).map(check).map(switch)
