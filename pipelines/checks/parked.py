"""Events that a projection could not apply."""

from __future__ import annotations

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict, counted
from projections import DeadLetters, Projection, ServingModel


def nothing_parked(projection: Projection) -> Check:
    return Check(name="dead_letters", holds="No event is parked: the rows say all that the log says.", look=lambda look: _look(look, projection))


def _look(look: Look, projection: Projection) -> Verdict:
    letters = DeadLetters(look.warehouse).of(ServingModel(look.warehouse, projection).now())
    if not len(letters):
        return Verdict()
    shown = letters.slice(0, SHOWN_ROWS).select(["position", "stream_id", "version", "type", "failed", "error", "parked_at"]).to_pylist()
    streams = len(letters["stream_id"].unique())
    problem = f"parked: {counted(len(letters), 'event')} of {counted(streams, 'stream')}; mend what the errors say and `retry`, or `discard` them"
    return Verdict(problem=problem, rows=shown, failing=len(letters), told={"streams": streams})
