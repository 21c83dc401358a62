"""Erasing as a job: a request with its reason, and the report as the run's metadata."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from contextlib import nullcontext
from typing import Any, Final

import dagster as dg
import orjson
from pydantic import Field

from pipelines.domain import Domain
from pipelines.executors import executor_of
from pipelines.jobs.doer import Doer
from pipelines.published import publish_again
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import BUILT_IN, erase_everywhere, reapply_everywhere
from store import Erasure, ErasureReport, Remnant, open_store

_SHOWN: Final = "some rows of read models (previews), and those that checks found wrong, in runs from before"
_RUNS: Final = (Remnant("Dagster's own storage", _SHOWN, None, "dagster run delete for these runs, then dagster asset wipe for their assets"),)
"""It is no part of the warehouse, and `traces` does not search it."""


class Request(Doer):
    streams: list[str] = Field(default=[], description="Of these streams.")
    tag: str = Field(default="", description="Carrying this tag, such as customer:7.")
    types: list[str] = Field(default=[], description="Of these types.")
    where: str = Field(default="", description="For which this condition in SQL on the columns of the log holds. Dagster keeps it: name no secret.")
    tags: bool = Field(default=False, description="The tags go, too.")
    backups: list[str] = Field(default=[], description="Backups in which the same is to be erased.")
    now: bool = Field(default=False, description="Remove the files at once that still hold it.")
    dry_run: bool = Field(default=False, description="Say what would be erased; change nothing.")


class Again(Doer):
    source: str = Field(default="", description="The warehouse whose audit tells what was erased. None: this one.")
    now: bool = Field(default=False, description="Remove the files at once that still hold it.")


@dg.op(pool="erase", retry_policy=TRYING, description="Erase what events say, and all that was made of it; the events keep their places.")
def erase_events(context: dg.OpExecutionContext, config: Request, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        report = erase_everywhere(
            store, warehouse.uri, (*domain.projections, *BUILT_IN),
            Erasure(streams=config.streams or None, tag=config.tag or None, types=config.types or None, where=config.where or None, tags=config.tags),
            by=config.by, why=config.why, dry_run=config.dry_run, now=config.now, backups=config.backups, executor=executor_of(warehouse.executor),
        )  # fmt: skip
        if not config.dry_run:
            publish_again(warehouse.uri, domain.projections)
            report = report.and_also([], _RUNS if report.events else [])
    context.add_output_metadata(_told(report))


@dg.op(pool="erase", retry_policy=TRYING, description="Erase again what was ever erased: after a restore from an older backup.")
def erase_again(context: dg.OpExecutionContext, config: Again, warehouse: Warehouse, domain: dg.ResourceParam[Domain]) -> None:
    with hopeless_at_once(), warehouse.open() as store:
        with open_store(config.source) if config.source else nullcontext() as other:
            report = reapply_everywhere(
                store, warehouse.uri, (*domain.projections, *BUILT_IN), other, by=config.by, why=config.why, now=config.now,
                executor=executor_of(warehouse.executor),
            )  # fmt: skip
        publish_again(warehouse.uri, domain.projections)
        report = report.and_also([], _RUNS if report.events else [])
    context.add_output_metadata(_told(report))


def _told(report: ErasureReport) -> dict[str, Any]:
    changed = {"changed_before": dg.MetadataValue.md("\n".join(f"- {one}" for one in report.found))} if report.found else {}
    return {
        **changed,
        "dry_run": report.dry_run,
        "erasure_id": report.erasure_id,
        "what": report.what,
        "events": report.events,
        "streams": len(report.streams),
        "gone": dg.MetadataValue.md("\n".join(f"- {one}" for one in report.gone) or "nothing"),
        "remains": dg.MetadataValue.md("\n".join(map(_line, report.remains)) or "nothing"),
        "report": dg.MetadataValue.json(orjson.loads(orjson.dumps(report.to_json()))),
    }


def _line(one: Remnant) -> str:
    until = "until you do it" if one.until is None else f"until {one.until:%Y-%m-%d %H:%M} UTC"
    return f"- {one.what}, {until}: {one.where}; to be rid of it: {one.remedy}"


@dg.job(description="Erase what events of some streams, with a tag, or by a condition say, and all that was made of it.")
def erase() -> None:
    erase_events()


@dg.job(description="Erase again what was ever erased, as the audit tells: after a restore from an older backup.")
def reapply() -> None:
    erase_again()
