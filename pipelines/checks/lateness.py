"""How far a read model is behind the log, in time and in events."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import dagster as dg

from pipelines.bounds import Bounds
from pipelines.checks.check import Check, Look, Verdict, counted
from projections import Projection, Status, status

_STOPPED: Final = {"halted": dg.AssetCheckSeverity.ERROR, "needs rebuild": dg.AssetCheckSeverity.ERROR, "paused": dg.AssetCheckSeverity.WARN}


def not_late(projection: Projection, bounds: Bounds) -> Check:
    """Late by time rather than by events: a burst of a million is caught up in seconds, one event that waits for an hour is a fault."""

    def look(look: Look) -> Verdict:
        found = status(look.store, look.warehouse, projection)
        told = {"state": found.state, "lag_events": found.lag, "lag_s": found.lag_s, "checkpoint": found.checkpoint}
        problem, severity = _judged(found, bounds)
        return Verdict(problem=problem, severity=severity, told=told, failing=found.lag)

    holds = f"It goes on, and no event waits longer than {bounds.late} (else a warning) or {bounds.too_late} (else an error)."
    return Check(name="lag", holds=holds, look=look)


def _judged(found: Status, bounds: Bounds) -> tuple[str, dg.AssetCheckSeverity]:
    waited = timedelta(seconds=found.lag_s)
    if found.state in _STOPPED:
        return f"{found.state}: {found.why}", _STOPPED[found.state]
    if waited > bounds.too_late:
        return f"waiting: {counted(found.lag, 'event')}, the first one for {_short(waited)}", dg.AssetCheckSeverity.ERROR
    if waited > bounds.late:
        return f"waiting: {counted(found.lag, 'event')}, the first one for {_short(waited)}", dg.AssetCheckSeverity.WARN
    if bounds.behind_events is not None and found.lag > bounds.behind_events:
        return f"waiting: {counted(found.lag, 'event')}, more than {bounds.behind_events:,}", dg.AssetCheckSeverity.WARN
    return "", dg.AssetCheckSeverity.ERROR


def _short(time: timedelta) -> str:
    return str(timedelta(seconds=int(time.total_seconds())))
