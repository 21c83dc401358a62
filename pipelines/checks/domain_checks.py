"""Checks from declarations: all that a domain gets without writing any, and the jobs that run them."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipelines.assets.event_log import EVENT_LOG
from pipelines.assets.snapshots import snapshots_key
from pipelines.checks.attested import as_attested
from pipelines.checks.check import Check
from pipelines.checks.evaluating import checks_of, step_name
from pipelines.checks.lateness import not_late
from pipelines.checks.log_order import log_in_order
from pipelines.checks.parked import nothing_parked
from pipelines.checks.payloads import payloads_decode
from pipelines.checks.refolding import same_as_folded_anew
from pipelines.checks.rows import rows_as_declared, rows_as_given
from pipelines.checks.saved_states import snapshots_as_folded
from pipelines.domain import Domain
from projections import BUILT_IN, Projection

CHECKS = "checks"
CHECKS_IN_FULL = "checks_in_full"


def domain_checks(domain: Domain) -> dg.Definitions:
    """Asset checks, and two jobs: `checks` looks at what is new and at samples, `checks_in_full` at everything."""
    by_asset = dict(_by_asset(domain))
    checks = [checks_of(key, held) for key, held in by_asset.items()]
    selection = dg.AssetSelection.checks(*checks)
    in_full = {"ops": {step_name(key): {"config": {"most": None}} for key in by_asset}}
    return dg.Definitions(
        asset_checks=checks,
        jobs=[
            dg.define_asset_job(CHECKS, selection, description="Check what came since the last time, and samples of the rest."),
            dg.define_asset_job(CHECKS_IN_FULL, selection, config=in_full, description="Check every event, every row and every snapshot."),
        ],
    )


def _by_asset(domain: Domain) -> Iterator[tuple[dg.AssetKey, list[Check]]]:
    yield EVENT_LOG, [log_in_order(), as_attested(), *([payloads_decode(domain.event_types)] if len(domain.event_types) else [])]
    for projection in (*domain.projections, *BUILT_IN):
        yield dg.AssetKey(projection.name), _of_read_model(projection, domain)
    for aggregate in domain.aggregates:
        if aggregate.snapshots is not None:
            yield snapshots_key(aggregate), [snapshots_as_folded(aggregate)]


def _of_read_model(projection: Projection, domain: Domain) -> list[Check]:
    own = domain.schemas.get(projection.name)
    return [
        not_late(projection, domain.bounds),
        nothing_parked(projection),
        rows_as_declared(projection),
        *([] if own is None else [rows_as_given(projection, own)]),
        same_as_folded_anew(projection),
    ]
