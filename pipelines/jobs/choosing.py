"""Which projections a job is about: those that are named, or those that need it."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from pipelines.domain import Domain, UnknownNameError
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import Build, Builds, Projection, fingerprint, status
from store import EventStore


class Chosen(dg.Config):
    projections: list[str] = Field(default=[], description="Their names. None: those that need it.")
    every: bool = Field(default=False, description="Where none are named: all of them.")


class Waiting(dg.Config):
    projections: list[str] = Field(default=[], description="Their names. None: all that have a build in the making.")


def named(domain: Domain, names: Sequence[str]) -> list[Projection]:
    """As the domain names them; a name that nothing has is a failure that Dagster does not retry."""
    try:
        return domain.named(names)
    except UnknownNameError as error:
        raise dg.Failure(str(error), allow_retries=False) from error


@dg.op(out=dg.DynamicOut(str), retry_policy=TRYING, description="Which read models are to be made anew.")
def choose(
    context: dg.OpExecutionContext, config: Chosen, warehouse: Warehouse, domain: dg.ResourceParam[Domain]
) -> Iterator[dg.DynamicOutput[str]]:
    projections = named(domain, config.projections)
    with hopeless_at_once(), warehouse.open() as store:
        for projection in projections:
            why_not = None if config.projections else _why_not(store, warehouse.uri, projection, config.every)
            if why_not is None:
                yield dg.DynamicOutput(projection.name, mapping_key=projection.name)
            else:
                context.log.info(f"{projection.name} is left as it is: {why_not}")


@dg.op(out=dg.DynamicOut(str), retry_policy=TRYING, description="Which read models have a build that waits to serve.")
def choose_made(config: Waiting, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> Iterator[dg.DynamicOutput[str]]:
    for projection in named(domain, config.projections):
        with hopeless_at_once():
            waiting = _by_this_code(projection, Builds(warehouse.uri).of(projection), "making")
        if waiting:
            yield dg.DynamicOutput(projection.name, mapping_key=projection.name)
        elif config.projections:
            raise dg.Failure(f"{projection.name} has no build in the making by the code of now: rebuild it, or fill one", allow_retries=False)


def _why_not(store: EventStore, warehouse: str, projection: Projection, every: bool) -> str | None:
    """Why it is not rebuilt by itself."""
    state, builds = status(store, warehouse, projection).state, Builds(warehouse)
    making = builds.unfinished(projection)
    filling = None if making is None else builds.filling(projection, making.build)
    if making is not None and filling is not None and not filling.published:
        return f"a backfill makes its build {making.build}, {filling}: go on with that, or drop the build"
    if state != "needs rebuild":
        return None if every else state
    left = _by_this_code(projection, builds.of(projection), "kept")
    return f"it was rolled back from {left[-1].build}, made by this very code: mend the code, or name it to rebuild it all the same" if left else None


def _by_this_code(projection: Projection, builds: Sequence[Build], state: str) -> list[Build]:
    code = projection.version, fingerprint(projection)
    return [build for build in builds if build.state == state and (build.version, build.made_by) == code]
