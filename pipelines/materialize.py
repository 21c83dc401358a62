"""Catches the projections up through Dagster in this process, so that the run shows in its UI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import dagster as dg

from pipelines.definitions import CATCH_UP, definitions
from pipelines.settings import Settings

# The run is kept and shown by the instance; a caller's terminal is the caller's.
_QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Materialized:
    """One projection's share of a run: events applied, rows written."""

    name: str
    events: int
    rows: int
    seconds: float


class MaterializeError(Exception):
    """Some projections failed; the others are up to date. Mend what each message says and run again."""


def materialize_projections(warehouse: str) -> list[Materialized]:
    """Run the job over this warehouse, which holds a log; Dagster keeps the run under `.dagster`."""
    job = definitions(replace(Settings.read(), warehouse=warehouse)).resolve_job_def(CATCH_UP)
    with dg.DagsterInstance.from_config(str(_instance_directory(Settings.read().home))) as instance:
        result = job.execute_in_process(instance=instance, run_config=_QUIET, raise_on_error=False)
    if failures := [_failure(event) for event in result.filter_events(lambda event: event.is_step_failure)]:
        raise MaterializeError("; ".join(failures))
    return [_materialized(event.materialization) for event in result.get_asset_materialization_events()]


def _instance_directory(home: Path) -> Path:
    """Where an instance's configuration is; without one, Dagster's defaults put all state beside it, so beside it is `.dagster`."""
    if (home / "dagster.yaml").exists():
        return home
    (home / ".dagster").mkdir(parents=True, exist_ok=True)
    return home / ".dagster"


def _failure(event: dg.DagsterEvent) -> str:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {event.message if error is None else error.message.strip()}"


def _materialized(made: dg.AssetMaterialization) -> Materialized:
    def told(name: str) -> Any:
        return made.metadata[name].value

    return Materialized(made.asset_key.to_user_string(), told("events"), told("rows_written"), told("seconds"))
