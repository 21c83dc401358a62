"""A projection step by step: the rows that each event of a stream touches, before it and after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.forms.form import Fold
from projections.models.memory_model import MemoryModel
from projections.models.overlay import Overlay
from projections.projection import Projection
from projections.running.applying import apply, touch
from projections.running.batches import Bounds, batches, stored_types
from store import EventStore, shard_of

LIMIT: Final = 100
_WHOLE_HASH: Final = 32


@dataclass(frozen=True, slots=True)
class Stepped:
    """`event`: one row in the columns of the log. `before`, `after`: the rows that it touches, as they were and are; none where there is none."""

    event: pa.Table
    before: pa.Table
    after: pa.Table


def steps(store: EventStore, projection: Projection, stream_id: str, *, after: int = 0, limit: int = LIMIT) -> Iterator[Stepped]:
    """One for each event of the stream that the projection reads, in order, past that version of the stream: the first `limit` of them.

    Folds the log aside, in memory, from its first event on; of a projection that is `by_stream` only this stream. Nothing is written.
    ApplyError: at the event that cannot be applied; those before it have been given.
    """
    if limit < 0:
        raise ValueError(f"limit {limit} is no count: give a number from 0 on")
    events = _read(projection, store.read_stream(stream_id, after=after)).slice(0, limit)
    shards = [shard_of(stream_id, _WHOLE_HASH)] if projection.by_stream else None
    with projection.form.open(projection) as fold:
        turn = Overlay(projection, MemoryModel(projection).look())
        for row in range(len(events)):
            event = events.slice(row, 1)
            position = event["position"][0].as_py()
            for batch, reached in batches(store, projection, turn.checkpoint, position - 1, Bounds(), shards):
                _apply(projection, fold, turn, batch, reached)
            keys = touch(projection, fold, event).keys
            before = turn.rows(keys)
            _apply(projection, fold, turn, event, position)
            yield Stepped(event, before, turn.rows(keys))


def _read(projection: Projection, events: pa.Table) -> pa.Table:
    """Those of them that the projection reads."""
    if projection.categories is not None and len(events) and events["stream_id"][0].as_py().split("-")[0] not in projection.categories:
        return events.slice(0, 0)
    types = stored_types(projection)
    return events if types is None else events.filter(pc.is_in(events["type"], value_set=pa.array(types, pa.string())))


def _apply(projection: Projection, fold: Fold, turn: Overlay, events: pa.Table, until: int) -> None:
    changes = apply(projection, fold, turn, events)
    turn.commit(changes.rows, until, changes.deleted)
