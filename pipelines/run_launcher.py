"""Dagster's launcher of runs on one machine, which also knows whether the process of a run is still there."""

from __future__ import annotations

from typing import Final

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

SLACK_S: Final = 1.0
"""So exact are the times at which processes began."""


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Run monitoring then ends a run whose process is gone.

    A code server ends the runs of those of its processes that die. Whoever dies with it (the machine goes down, all of Dagster is killed) leaves
    runs that are under way for ever, each with its pool: no other run of that projection would ever begin.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING also where the process cannot be known, as on another machine."""
        started = self._started(run.run_id)
        if started is None or _is_there(*started):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {started[0]} is gone")

    def _started(self, run_id: str) -> tuple[int, float] | None:
        """The process of a run, and when it said so, in seconds since 1970."""
        for entry in self._instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
            if entry.dagster_event is not None and (pid := entry.dagster_event.engine_event_data.metadata.get("pid")) is not None:
                return int(str(pid.value)), entry.timestamp
        return None


def _is_there(pid: int, since_s: float) -> bool:
    """Is it that process, and not another one which has its number by now?"""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= since_s + SLACK_S and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:                           # it is there, and may not be asked
        return True
