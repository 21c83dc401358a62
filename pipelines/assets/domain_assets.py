"""Assets from declarations: all that a domain gets without writing any."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import dagster as dg

from pipelines.assets.event_log import event_log
from pipelines.assets.metrics import metrics
from pipelines.assets.read_model import read_model
from pipelines.assets.snapshots import snapshots
from pipelines.domain import Domain
from pipelines.settings import Settings
from projections import BUILT_IN, Projection, Typed

WAREHOUSE: Final = "warehouse"
"""The group of what every warehouse has."""


def domain_assets(domain: Domain, settings: Settings) -> Iterator[dg.AssetSpec | dg.AssetsDefinition]:
    """The log, made by applications and not by Dagster; what follows it."""
    yield event_log(domain)
    tables = {one.form.event_type.name: dg.AssetKey(one.name) for one in domain.projections if isinstance(one.form, Typed)}
    for projection in domain.projections:
        yield read_model(projection, domain, domain.name, _typed_tables_of(projection, tables))
    for projection in BUILT_IN:
        yield read_model(projection, domain, WAREHOUSE)
    yield metrics(domain, WAREHOUSE, settings)
    for aggregate in domain.aggregates:
        if aggregate.snapshots is not None:
            yield snapshots(aggregate, domain)


def _typed_tables_of(projection: Projection, tables: Mapping[str, dg.AssetKey]) -> list[dg.AssetKey]:
    """Of the types that it names. One that reads every event is about the log, not about what is in them."""
    if isinstance(projection.form, Typed):
        return []
    return [tables[name] for name in projection.form.reads(projection) or () if name in tables]
