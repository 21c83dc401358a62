"""What became of the runs of a job: which of its assets are under way, and which failed how often in a row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import dagster as dg

_UNDER_WAY: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_LOOKED_AT: Final = 30
"""Ended runs, at most: who failed longer ago than these begins anew."""
FIRST_WAIT_S: Final = 10.0
LONGEST_WAIT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Attempts:
    """Of one asset. `failed`: the last runs that held it failed, so many in a row; `ended_s`: when the last one did, in seconds since 1970."""

    failed: int = 0
    ended_s: float = 0.0

    @property
    def due_s(self) -> float:
        """When it may be tried again: twice as late after each failure."""
        return self.ended_s + min(FIRST_WAIT_S * 2 ** (self.failed - 1), LONGEST_WAIT_S) if self.failed else 0.0


def under_way(instance: dg.DagsterInstance, job_name: str, names: Sequence[str]) -> set[str]:
    """Those of these assets that a run of any job holds, queued or begun."""
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    return {name for run in runs for name in names if _holds(run, job_name, name)}


def attempts(instance: dg.DagsterInstance, job_name: str, names: Sequence[str]) -> dict[str, Attempts]:
    """Of each of these assets in the job's last runs."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=_ENDED), limit=_LOOKED_AT)
    return {name: _attempts(iter([record for record in records if _holds(record.dagster_run, job_name, name)])) for name in names}


def _attempts(newest_first: Iterator[dg.RunRecord]) -> Attempts:
    failed, ended_s = 0, 0.0
    for record in newest_first:
        if record.dagster_run.is_success:
            break
        failed, ended_s = failed + 1, ended_s or record.end_time or time.time()
    return Attempts(failed, ended_s)


def _holds(run: dg.DagsterRun, job_name: str, name: str) -> bool:
    """A run of the whole job names no assets."""
    return dg.AssetKey(name) in run.asset_selection if run.asset_selection else run.job_name == job_name
