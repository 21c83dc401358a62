from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from tests.pipelines.library import append, lent, loaded

Checked = Callable[..., dict[str, dg.AssetCheckEvaluation]]


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Twelve loans of four books by three readers; no read model yet."""
    for number in range(12):
        append(tmp_path, f"book-{number % 4}", [lent(f"reader {number % 3}", number + 1)])
    return tmp_path


@pytest.fixture
def checked(warehouse: Path) -> Iterator[Checked]:
    """Runs a job after another, and tells the verdict of each check as `asset/check`: `checked("checks")`."""
    with dg.DagsterInstance.ephemeral() as instance:

        def checked(*jobs: str, of: dg.Definitions | None = None) -> dict[str, dg.AssetCheckEvaluation]:
            results = [
                (of or loaded(warehouse)).resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False) for job in jobs
            ]
            found = results[-1].get_asset_check_evaluations()
            return {f"{one.asset_key.to_user_string()}/{one.check_name}": one for one in found}

        yield checked


def failing(found: dict[str, dg.AssetCheckEvaluation]) -> set[str]:
    return {name for name, verdict in found.items() if not verdict.passed}


def told(verdict: dg.AssetCheckEvaluation, name: str) -> object:
    return verdict.metadata[name].value
