"""The way back to builds that served before, and the end of those that nobody goes back to."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
from pydantic import Field

from pipelines.domain import Domain
from pipelines.jobs.choosing import named
from pipelines.jobs.publishing import publish_again
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import Build, Builds, Projection, fingerprint

GIVEN_UP: Final = timedelta(days=1)
"""So old a build in the making by other code than is declared now is nobody's any more."""


class Named(dg.Config):
    projections: list[str] = Field(min_length=1, description="Their names.")


class Old(dg.Config):
    keep: int = Field(default=1, ge=0, description="So many builds of each projection that served before stay, to roll back to.")


@dg.op(retry_policy=TRYING, description="Let the build that served before serve again.")
def serve_the_one_before(context: dg.OpExecutionContext, config: Named, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    builds, told = Builds(warehouse.uri), dict[str, str]()
    for projection in named(domain, config.projections):
        with hopeless_at_once():
            told[projection.name] = builds.roll_back(projection).build
    context.add_output_metadata({"serving": told, **publish_again(warehouse, domain)})


@dg.op(retry_policy=TRYING, description="Remove old builds and their files, for good; the last ones that served stay.")
def drop_old_builds(context: dg.OpExecutionContext, config: Old, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    builds, dropped = Builds(warehouse.uri), list[str]()
    for projection in named(domain, []):
        with hopeless_at_once():
            for build in droppable(projection, builds.of(projection), config.keep, datetime.now(UTC)):
                builds.drop(projection, build.build)
                dropped.append(f"{projection.name}/{build.build}")
    context.add_output_metadata({"builds": len(dropped), "dropped": dropped})


def droppable(projection: Projection, builds: Sequence[Build], keep: int, now: datetime) -> list[Build]:
    """All but the one that serves, the `keep` that served last, and those in the making that somebody may still be at."""
    kept = sorted((build for build in builds if build.state == "kept"), key=lambda one: (one.served_at is not None, one.served_at, one.version))
    given_up = [build for build in builds if build.state == "making" and build.made_by != fingerprint(projection) and _is_old(build, now)]
    return [*(build for build in builds if build.state == "dropping"), *given_up, *kept[: max(0, len(kept) - keep)]]


def _is_old(build: Build, now: datetime) -> bool:
    return build.begun_at is None or now - build.begun_at > GIVEN_UP


@dg.job(description="Go back to the builds that served before. The nightly rebuild does not switch forward again to the code that was left.")
def roll_back() -> None:
    serve_the_one_before()


@dg.job(description="Remove builds that nobody needs any more.")
def drop_builds() -> None:
    drop_old_builds()
