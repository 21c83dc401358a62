"""The checks of one asset as Dagster runs them: in one step, each by itself if asked for, and each telling which rows fail."""

# Annotations are not postponed here: Dagster takes contexts and configurations from them as they stand.

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from pydantic import Field

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from pipelines.domain import Domain
from pipelines.markdown import markdown_table
from pipelines.trying import without_values
from pipelines.warehouse import Warehouse
from projections import ProjectionError
from store import StorageError, StoreError

MOST: Final = 200_000
_EVALUATED: Final = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


class Extent(dg.Config):
    most: int | None = Field(default=MOST, ge=1, description="About so many events or rows are looked at, at most, by each check; null: all of them.")


def step_name(key: dg.AssetKey) -> str:
    """Of the step that evaluates the checks of that asset."""
    return f"check_{key.to_python_identifier()}"


def checks_of(key: dg.AssetKey, checks: Sequence[Check]) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(check.name, asset=key, description=check.holds, blocking=check.blocking) for check in checks]

    @dg.multi_asset_check(
        name=step_name(key),
        specs=specs,
        can_subset=True,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=2, backoff=dg.Backoff.EXPONENTIAL),
    )
    def evaluate(
        context: dg.AssetCheckExecutionContext, config: Extent, warehouse: Warehouse, domain: dg.ResourceParam[Domain]
    ) -> Iterator[dg.AssetCheckResult]:
        with warehouse.open(domain) as store:
            for spec, check in zip(specs, checks, strict=True):
                if spec.key in context.selected_asset_check_keys:
                    look = Look(store, warehouse.uri, config.most, _last(context.instance, spec.key))
                    with without_values(store):
                        verdict = _verdict(check, look)
                    yield _result(spec.key, verdict)

    return evaluate


def _verdict(check: Check, look: Look) -> Verdict:
    try:
        return check.look(look)
    except StorageError:                           # says nothing of what is stored: it is tried again
        raise
    except ProjectionError as error:
        return Verdict(problem=str(error))
    except StoreError as error:
        return Verdict(problem=str(error) if look.store.privacy.keyring is None else error.outline)


def _result(key: dg.AssetCheckKey, verdict: Verdict) -> dg.AssetCheckResult:
    told = dict(verdict.told)
    if verdict.problem:
        told["failing"] = verdict.failing
    if verdict.rows:
        names = dict.fromkeys(name for row in verdict.rows for name in row)
        told["failing_rows"] = dg.MetadataValue.md(markdown_table(verdict.rows[:SHOWN_ROWS], names))
    return dg.AssetCheckResult(
        passed=not verdict.problem,
        asset_key=key.asset_key,
        check_name=key.name,
        severity=verdict.severity,
        description=verdict.problem or None,
        metadata=told,
    )


def _last(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> Mapping[str, Any]:
    """Not of the run that is under way: it is the latest of all, but has no verdict yet."""
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=_EVALUATED):
        if record.event is not None and record.event.dagster_event is not None:
            evaluation = record.event.dagster_event.asset_check_evaluation_data
            return {name: value.value for name, value in evaluation.metadata.items()}
    return {}
