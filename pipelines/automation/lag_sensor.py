"""The sensor that has read models caught up: it goes by how things stand, not by what happened, so no commit can be missed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Self

import dagster as dg
import orjson

from pipelines.automation.attempts import attempts, under_way
from pipelines.automation.lag_watch import LagWatch
from store import TableRefusedError

LOOK_EVERY_S: Final = 60.0
"""So long the same head may stand for read models that have not changed; a reset or a roll-back is seen after it at the latest."""
HEAD_TAG: Final = "alluvium/head"


@dataclass(frozen=True, slots=True)
class Hint:
    """All read models were at this head, at that time: a reason to look less closely, never one to leave anything out."""

    head: int
    looked_s: float

    @classmethod
    def of(cls, cursor: str | None) -> Self | None:
        try:
            return None if cursor is None else cls(**orjson.loads(cursor))
        except (ValueError, TypeError):            # of another release, or set by hand
            return None

    def cursor(self) -> str:
        return orjson.dumps(asdict(self)).decode()


def lag_sensor(watch: LagWatch, job: dg.UnresolvedAssetJobDefinition, interval_s: int, clock: Callable[[], float] = time.time) -> dg.SensorDefinition:
    """`job`: catches read models up. `clock`: seconds since 1970."""

    @dg.sensor(
        name="projection_lag",
        job=job,
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Has the read models caught up that are behind the log, one run for all of them.",
    )
    def projection_lag(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            hint, now_s = Hint.of(context.cursor), clock()
            if hint is not None and watch.head() == hint.head and 0 <= now_s - hint.looked_s < LOOK_EVERY_S:
                return dg.SkipReason(f"all are at position {hint.head}, the head")
            seen = watch.look()
        except TableRefusedError as error:
            return dg.SkipReason(f"there is no log to follow: {error}")
        told, requests = dict(seen.told), list[dg.RunRequest]()
        if seen.behind:
            due, waiting = _due(context.instance, job.name, seen.behind, now_s)
            requests, told = [_request(names, seen.head) for names in due], {**told, **waiting}
        cursor = None if seen.behind or seen.told else Hint(seen.head, now_s).cursor()
        if requests:
            for name, why in told.items():
                context.log.info(f"{name} is left alone: {why}")
            return dg.SensorResult(run_requests=requests, cursor=cursor)
        return dg.SensorResult(skip_reason=_skipped(seen.head, told), cursor=cursor)

    return projection_lag


def _due(instance: dg.DagsterInstance, job_name: str, behind: Sequence[str], now_s: float) -> tuple[list[list[str]], dict[str, str]]:
    """Which to run together, and why the others have to wait. One that failed runs alone, so that the others' runs succeed."""
    busy, known = under_way(instance, job_name, behind), attempts(instance, job_name, behind)
    waiting = {name: "a run is under way" for name in behind if name in busy}
    for name in behind:
        if name not in busy and (wait_s := known[name].due_s - now_s) > 0:
            waiting[name] = f"its runs failed, {known[name].failed} in a row; it is tried again in {wait_s:.0f} s"
    due = [name for name in behind if name not in waiting]
    well = [name for name in due if not known[name].failed]
    return [*([well] if well else []), *([name] for name in due if known[name].failed)], waiting


def _request(names: Sequence[str], head: int) -> dg.RunRequest:
    """Without a run key, which would suppress a second try at the same head; and without checks, which have schedules of their own."""
    return dg.RunRequest(asset_selection=[dg.AssetKey(name) for name in names], asset_check_keys=[], tags={HEAD_TAG: str(head)})


def _skipped(head: int, told: Mapping[str, str]) -> str:
    if not told:
        return f"all are at position {head}, the head"
    return f"at position {head}, left alone: " + "; ".join(f"{name}: {why}" for name, why in told.items())
