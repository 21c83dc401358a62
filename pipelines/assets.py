"""Assets from declarations: the event log, and one asset for each projection of a domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import dagster as dg
import pyarrow as pa

from pipelines.domain import Domain
from pipelines.warehouse import Warehouse
from projections import (
    BUILT_IN,
    ApplyError,
    CaughtUp,
    CheckpointBeyondHeadError,
    NeedsRebuildError,
    PausedError,
    Projection,
    ReadModelRefusedError,
    ServingModel,
    fill,
    lag,
)
from store import TableRefusedError

_PREVIEW_ROWS: Final = 10
_HOPELESS: Final = (ApplyError, CheckpointBeyondHeadError, NeedsRebuildError, PausedError, ReadModelRefusedError, TableRefusedError)
"""What trying again does not change."""


def domain_assets(domain: Domain) -> Iterator[dg.AssetSpec | dg.AssetsDefinition]:
    """The log is made by applications, not by Dagster; the read models follow it: the domain's, and those that every warehouse has."""
    yield dg.AssetSpec("events", group_name=domain.name, kinds={"deltalake"}, description="The event log: every fact, in one total order.")
    for projection in domain.projections:
        yield projection_asset(projection, domain.name)
    for projection in BUILT_IN:
        yield projection_asset(projection, "warehouse")


def projection_asset(projection: Projection, group: str) -> dg.AssetsDefinition:
    """An asset that catches its read model up with the log."""

    @dg.asset(
        name=projection.name,
        group_name=group,
        description=projection.description or None,
        deps=["events"],
        kinds={"deltalake", projection.form.engine},
        code_version=str(projection.version),
        metadata={"dagster/column_schema": _column_schema(projection)},
        # Two runs of one projection cannot both win; the pool spares the loser the work.
        pool=projection.name,
        retry_policy=dg.RetryPolicy(max_retries=3, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS),
    )
    def read_model(warehouse: Warehouse) -> dg.MaterializeResult[None]:
        model = warehouse.model(projection)
        try:
            with warehouse.open() as store:
                done = fill(store, model)
                behind = lag(store, model)
        except _HOPELESS as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return dg.MaterializeResult(metadata=_metadata(model, done, behind))

    return read_model


def _metadata(model: ServingModel, done: CaughtUp, behind: int) -> dict[str, dg.MetadataValue]:
    return {
        "events": dg.MetadataValue.int(done.events),
        "rows_written": dg.MetadataValue.int(done.rows),
        "seconds": dg.MetadataValue.float(done.seconds),
        "events_per_s": dg.MetadataValue.float(done.events / done.seconds),
        "checkpoint": dg.MetadataValue.int(done.checkpoint),
        "lag_events": dg.MetadataValue.int(behind),
        "dagster/row_count": dg.MetadataValue.int(model.row_count()),
        "dagster/uri": dg.MetadataValue.text(model.uri),
        "delta_version": dg.MetadataValue.int(model.delta_version()),
        "preview": dg.MetadataValue.md(_markdown(model.rows(limit=_PREVIEW_ROWS))),
    }


def _column_schema(projection: Projection) -> dg.TableSchema:
    constraints = {name: dg.TableColumnConstraints(nullable=False) for name in projection.key}
    return dg.TableSchema([dg.TableColumn(field.name, str(field.type), constraints=constraints.get(field.name)) for field in projection.columns])


def _markdown(rows: pa.Table) -> str:
    lines = [rows.column_names, ["---"] * rows.num_columns, *(list(row.values()) for row in rows.to_pylist())]
    return "\n".join(f"| {' | '.join(str(value).replace('|', '∣') for value in line)} |" for line in lines)
