"""A read model as it was: the same rows, whenever and however often one asks."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from projections.errors import BeyondHeadError
from projections.models.memory_model import MemoryModel
from projections.models.model import Model
from projections.projection import Projection
from projections.running.runner import catch_up
from store import AsOf, EventStore

_BATCH_EVENTS: Final = 400_000


def as_of(store: EventStore, projection: Projection, at: AsOf, start: Model | None = None) -> MemoryModel:
    """The rows as of a position, or of the last one recorded by a time; the answer's checkpoint names it. Made aside, in memory, from the log.

    `start`: a state of this very projection at that position or before, to go on from; it is not touched. BeyondHeadError: not yet.
    """
    position, head = store.position_at(at) if isinstance(at, datetime) else at, store.head()
    if position > head:
        raise BeyondHeadError(position, head)
    model = MemoryModel(projection) if start is None else MemoryModel.of(start)
    if not model.checkpoint() <= position:
        raise ValueError(f"position {position} lies before {model.checkpoint()}: give a position from there on, or an earlier start")
    if position > model.checkpoint():
        catch_up(store, model, _BATCH_EVENTS, until=position)
    return model
