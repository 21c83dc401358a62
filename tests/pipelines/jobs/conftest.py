from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.pipelines.ledger import deposit, loaded

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    """Forty deposits on ten accounts of three owners; no read model yet."""
    deposit(tmp_path / "warehouse", range(40))
    return str(tmp_path / "warehouse")


@pytest.fixture
def run(warehouse: str) -> Iterator[Run]:
    """Runs a job by its name, with the configuration of its ops: `run("rebuild", choose={"projections": ["balances"]})`."""
    with dg.DagsterInstance.ephemeral() as instance:
        defs = loaded(warehouse)

        def run(job: str, of: dg.Definitions = defs, **ops: dict[str, Any]) -> dg.ExecuteInProcessResult:
            config = {"ops": {name: {"config": given} for name, given in ops.items()}}
            return of.resolve_job_def(job).execute_in_process(run_config=config, instance=instance, raise_on_error=False)

        yield run


def told(result: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    """The metadata of a step, of its output or of its failure; a mapped one is called `check[balances]`."""
    for event in result.all_events:
        if event.step_key == step and event.is_step_failure:
            failure = event.step_failure_data.user_failure_data
            return {name: value.value for name, value in (failure.metadata if failure else {}).items()}
        if event.step_key == step and event.is_successful_output:
            return {name: value.value for name, value in event.step_output_data.metadata.items()}
    return {}


def why(result: dg.ExecuteInProcessResult) -> str:
    """What failed steps say."""
    failures = result.filter_events(lambda event: event.is_step_failure)
    return "; ".join(event.step_failure_data.user_failure_data.description or "" for event in failures if event.step_failure_data.user_failure_data)


def steps(result: dg.ExecuteInProcessResult) -> set[str]:
    """That succeeded."""
    return {event.step_key for event in result.all_events if event.is_step_success and event.step_key}
