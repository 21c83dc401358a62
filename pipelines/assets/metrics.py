"""Metrics over time as an asset: each run keeps what the warehouse holds, and what processes tell of themselves."""

# Annotations are not postponed here: Dagster takes contexts and resources from them as they stand.

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from pipelines.assets.event_log import EVENT_LOG
from pipelines.automation.conditions import on_cron
from pipelines.domain import Domain
from pipelines.levels import levels
from pipelines.metrics import SAMPLES, Sample, Samples, ScrapeError, WarehouseCollector, samples_of, scrape, source_of, summary
from pipelines.settings import Settings
from pipelines.trying import TRYING, hopeless_at_once
from pipelines.warehouse import Warehouse
from projections import BUILT_IN, Projection

METRICS: Final = "metrics"
HEARD: Final = "up"
"""1 where a process told its metrics, 0 where it did not, as Prometheus calls it."""
_SAID: Final = {
    "sampled_at": "When it was looked at.",
    "source": "Address that told it; empty: the warehouse itself.",
    "metric": "As Prometheus knows it.",
    "labels": "JSON, the names in order.",
    "value": "Of a counter since its process began, of anything else at that time.",
}


def metrics(domain: Domain, group: str, settings: Settings) -> dg.AssetsDefinition:
    """Its numbers are plotted on its page; all samples are rows of the table `metrics`."""
    columns = dg.TableSchema([dg.TableColumn(field.name, str(field.type), _SAID[field.name]) for field in SAMPLES])
    projections = (*domain.projections, *BUILT_IN)

    @dg.asset(
        name=METRICS,
        group_name=group,
        description="How the warehouse, and the processes that use it, are doing over time.",
        deps=[EVENT_LOG],
        kinds={"deltalake", "prometheus"},
        owners=domain.owners,
        tags={"domain": domain.name},
        code_version="1",
        metadata={"dagster/column_schema": columns, "sources": [source_of(one) for one in settings.scrape], "kept_days": settings.metrics_days},
        pool=METRICS,
        retry_policy=TRYING,
        automation_condition=on_cron(settings.metrics_cron, settings.timezone),
    )
    def sample(warehouse: Warehouse) -> dg.MaterializeResult[None]:
        samples, now = Samples(warehouse.uri), datetime.now(UTC)
        with hopeless_at_once():
            then, before = samples.latest()
            told = [*_of_warehouse(warehouse, projections), *_of_processes(settings.scrape)]
            kept = samples.add(now, told, now - timedelta(days=settings.metrics_days))
        numbers = summary(told, before, None if then is None else (now - then).total_seconds())
        unheard = [one.source for one in told if one.metric == HEARD and not one.value]
        of_table: dict[str, Any] = {"samples": len(told), "unheard": unheard, "dagster/row_count": kept, "dagster/uri": samples.uri}
        return dg.MaterializeResult(metadata={**_rounded(numbers), **of_table})

    return sample


def _of_warehouse(warehouse: Warehouse, projections: Sequence[Projection]) -> list[Sample]:
    with warehouse.open() as store:
        seen = levels(store, warehouse.uri, projections)
    return samples_of("", WarehouseCollector(lambda: seen).collect())


def _of_processes(addresses: Sequence[str]) -> Iterator[Sample]:
    """One that does not answer keeps nothing from the others."""
    for address in addresses:
        try:
            found = scrape(address)
        except ScrapeError as error:
            logging.getLogger("alluvium").warning("%s", error)
            found = []
        yield Sample(source_of(address), HEARD, "{}", float(bool(found)))
        yield from found


def _rounded(numbers: Mapping[str, float]) -> dict[str, Any]:
    return {name: int(value) if value == int(value) else round(value, 3) for name, value in numbers.items()}
