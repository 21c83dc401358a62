"""The asset of a projection: each run catches its read model up with the log, and tells what it did."""

# Annotations are not postponed here: Dagster takes contexts and resources from them as they stand.

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import dagster as dg

from pipelines.assets.columns import column_schema
from pipelines.assets.event_log import EVENT_LOG
from pipelines.assets.lineage import column_lineage
from pipelines.assets.plot import MOST_RUNS, Run, plot
from pipelines.domain import Domain
from pipelines.markdown import markdown_table
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import CaughtUp, NeedsRebuildError, Projection, ReadModel, fill, fingerprint, lag

_PREVIEW_ROWS: Final = 8


def read_model(projection: Projection, domain: Domain, group: str, upstream: Iterable[dg.AssetKey] = ()) -> dg.AssetsDefinition:
    """`upstream`: typed tables of the events that it reads.

    The edge says that both are made of the same events, and that a run brings the typed table up first: an event that cannot be read shows
    there, in one place, and what stands behind it waits. The rows themselves are made of the log alone.
    """

    @dg.asset(
        name=projection.name,
        group_name=group,
        description=projection.description or None,
        deps=[EVENT_LOG, *upstream],
        kinds={"deltalake", projection.form.engine},
        owners=domain.owners,
        tags={"domain": domain.name, "form": form_of(projection)},
        code_version=str(projection.version),
        metadata=_declared(projection),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=domain.bounds.too_long_unseen, warn_window=domain.bounds.unseen),
        # Two runs of one projection cannot both win; the pool spares the loser the work.
        pool=projection.name,
        retry_policy=TRYING,
    )
    def catch_up_read_model(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
        model = warehouse.model(projection)
        with hopeless_at_once(), _told_to_rebuild(), warehouse.open() as store:
            done = fill(store, model, observer=warehouse.observer())
            behind = lag(store, model)
        now, before = model.now(), _runs(context)
        data_version = dg.DataVersion(f"{now.uri.rpartition('/')[2]}@{done.checkpoint}")
        return dg.MaterializeResult(metadata=_told(now, done, behind, before), data_version=data_version)

    return catch_up_read_model


def form_of(projection: Projection) -> str:
    """How it is declared: sql, frame, handlers or typed."""
    return type(projection.form).__name__.lower()


@contextmanager
def _told_to_rebuild() -> Iterator[None]:
    try:
        yield
    except NeedsRebuildError as error:
        told = {"state": "needs rebuild", "why": error.problem, "remedy": "run the job `rebuild`; what serves goes on serving meanwhile"}
        raise dg.Failure(str(error), metadata=told, allow_retries=False) from error


def _declared(projection: Projection) -> dict[str, Any]:
    reads = projection.form.reads(projection)
    told = {
        "dagster/column_schema": column_schema(projection),
        "key": ", ".join(projection.key),
        "reads": "every event" if reads is None else ", ".join(reads),
        "code": fingerprint(projection),
    }
    lineage = column_lineage(projection)
    return told if lineage is None else {**told, "dagster/column_lineage": lineage}


def _runs(context: dg.AssetExecutionContext) -> list[Run]:
    """What was told of the last runs, oldest first."""
    records = context.instance.fetch_materializations(context.asset_key, limit=MOST_RUNS - 1).records
    made = [(record.timestamp, record.asset_materialization.metadata) for record in reversed(records) if record.asset_materialization]
    return [
        Run(ended_s, *(int(told[name].value) for name in ("events", "dagster/row_count")))
        for ended_s, told in made
        if {"events", "dagster/row_count"} <= told.keys()
    ]


def _told(model: ReadModel, done: CaughtUp, behind: int, before: Iterable[Run]) -> dict[str, Any]:
    rows = model.row_count()
    return {
        "events": done.events,
        "rows_written": done.rows,
        "seconds": round(done.seconds, 3),
        "events_per_s": round(done.events / done.seconds),
        "checkpoint": done.checkpoint,
        "lag_events": behind,
        "dagster/row_count": rows,
        "dagster/uri": model.uri,
        "data_bytes": model.data_bytes(),
        "files": len(model.files()),
        "delta_version": model.delta_version(),
        "preview": dg.MetadataValue.md(markdown_table(model.rows(limit=_PREVIEW_ROWS).to_pylist(), model.projection.columns.names)),
        "plot": dg.MetadataValue.md(plot([*before, Run.now(done.events, rows)])),
    }
