"""Dagster's own monitoring, over the instance that comes with the house: what becomes of a run whose process is gone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from pipelines import run_launcher

HOUSE = Path(__file__).parents[2]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    settings: dict[str, Any] = yaml.safe_load((HOUSE / "dagster.yaml").read_text())
    told = {part: settings[part] for part in ("run_launcher", "run_monitoring", "run_coordinator", "concurrency")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(told))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def gone() -> int:
    """A process that has ended, and that nobody waits for any more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def status_of_one_begun_by(instance: dg.DagsterInstance, pid: int | None) -> dg.DagsterRunStatus:
    """After one look of the daemon."""
    run = create_run_for_test(instance, job_name="catch_up", status=dg.DagsterRunStatus.STARTED)
    if pid is not None:
        instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    with WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context:
        assert list(execute_run_monitoring_iteration(context, logging.getLogger("dagster"))) == [None]
    after = instance.get_run_by_id(run.run_id)
    assert after is not None
    return after.status


def test_a_run_whose_process_is_gone_has_failed(instance: dg.DagsterInstance, gone: int) -> None:
    assert status_of_one_begun_by(instance, gone) is dg.DagsterRunStatus.FAILURE


def test_a_run_whose_process_is_there_goes_on(instance: dg.DagsterInstance) -> None:
    assert status_of_one_begun_by(instance, os.getpid()) is dg.DagsterRunStatus.STARTED


def test_a_run_of_whose_process_nobody_knows_goes_on(instance: dg.DagsterInstance) -> None:
    assert status_of_one_begun_by(instance, None) is dg.DagsterRunStatus.STARTED


def test_a_younger_process_of_the_same_number_is_another_one(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the machine went down and came back."""
    monkeypatch.setattr(run_launcher, "SLACK_S", psutil.Process().create_time() - time.time() - 1)
    assert status_of_one_begun_by(instance, os.getpid()) is dg.DagsterRunStatus.FAILURE


def test_a_process_that_nobody_has_taken_leave_of_is_gone(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert status_of_one_begun_by(instance, process.pid) is dg.DagsterRunStatus.FAILURE
