"""Dealing with dead letters: try them once more, or give them up."""

from __future__ import annotations

import pyarrow as pa

from projections.forms.form import key_schema
from projections.models.dead_letters import DeadLetters
from projections.models.model import Model
from projections.running.applying import apply
from store import EVENTS


def retry(letters: DeadLetters, model: Model, stream_id: str) -> int:
    """Apply the parked events of a stream, in order and in their newest shapes, all in one commit: how many. The stream goes on from there.

    They meet the rows as they are now, after later events of other streams: where rows depend on the order among streams, rebuild instead.
    ApplyError: one of them fails still, and nothing has changed. NeedsRebuildError: say `adopt` if the code was changed for these alone.
    """
    turn = model.turn()
    parked = letters.counting(model, turn, stream_id)
    if len(parked):
        with model.projection.form.open(model.projection) as fold:
            changes = apply(model.projection, fold, turn, parked.select(EVENTS.names))
        turn.amend(changes.rows, changes.deleted, stream_id, _last(parked))
        letters.remove(parked)                     # those that a crash leaves here do not count any more
    return len(parked)


def discard(letters: DeadLetters, model: Model, stream_id: str) -> int:
    """Give up the parked events of a stream, for good: how many. Later ones are applied to the rows as they are without these."""
    turn = model.turn()
    parked = letters.counting(model, turn, stream_id)
    if len(parked):
        # By a commit of the model, too: a runner at work takes the stream for parked, and has to look again.
        turn.amend(model.projection.columns.empty_table(), key_schema(model.projection).empty_table(), stream_id, _last(parked))
        letters.remove(parked)
    return len(parked)


def _last(parked: pa.Table) -> int:
    return int(parked["position"][len(parked) - 1].as_py())
