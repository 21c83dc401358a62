"""What would be: events that were not appended, or code that does not serve, tried beside the real thing. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack

import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import BuildError, CheckpointBeyondHeadError
from projections.explaining.past import as_of
from projections.explaining.row_diff import RowDiff, diff_tables
from projections.forms.form import Fold
from projections.models.builds import Builds
from projections.models.model import Readable
from projections.models.overlay import Overlay
from projections.projection import Projection
from projections.running.applying import apply
from projections.running.batches import Bounds, batches
from store import Event, EventStore, MemoryEventStore, MemoryKeys, Privacy, delta_rows, delta_table, is_table


def what_if(store: EventStore, model: Readable, events: Iterable[tuple[str, Event]]) -> RowDiff:
    """What these events would change, were they appended next, each to its stream, in this order: only rows that they touch are compared.

    A model that is behind is caught up aside first. Positions, versions and times are as the log would give them. What is personal in them is
    encrypted by keys that end with the call: rows hold tokens, as they would, which nobody can open. InvalidEventError: mend the events.
    ApplyError: these, or those that the model is behind, cannot be applied.
    """
    projection = model.projection
    with ExitStack() as opened:
        fold = opened.enter_context(projection.form.open(projection))
        before = Overlay(projection, model.look())
        head = store.head()
        if before.checkpoint > head:
            raise CheckpointBeyondHeadError(model.uri, before.checkpoint, head)
        for batch, reached in batches(store, projection, before.checkpoint, head, Bounds()):
            _step(projection, fold, before, batch, reached)
        after, recorded_at = Overlay(projection, before), max(_last_recorded_at(store, head), time.time_ns() // 1000)
        beside = opened.enter_context(MemoryEventStore(lambda: recorded_at, privacy=Privacy(MemoryKeys())))
        for stream_id, event in events:
            beside.append(stream_id, [event])
        for batch, reached in batches(beside, projection, 0, beside.head(), Bounds()):
            _step(projection, fold, after, _placed(store, batch, head), head + reached)
    changed = after.changes()
    keys = pa.concat_tables([changed.rows.select(projection.key), changed.gone])
    return diff_tables(before.rows(keys), changed.rows, projection.key)


def rehearse(store: EventStore, warehouse: str, projection: Projection) -> RowDiff:
    """What this code would change of what serves, whichever version and code that is of: the log folded aside up to the same position.

    BuildError: nothing serves. KeyRefusedError: what serves has another key. ApplyError: this code cannot apply an event that is there.
    """
    rows, checkpoint = _served(warehouse, projection)
    return diff_tables(rows, as_of(store, projection, checkpoint).rows(), projection.key)


def diff_serving(warehouse: str, model: Readable) -> RowDiff:
    """What readers would see change if this build served in place of the one that does, each at the checkpoint where it is.

    BuildError: nothing serves. KeyRefusedError: what serves has another key. All rows of both are in memory meanwhile.
    """
    rows, _ = _served(warehouse, model.projection)
    return diff_tables(rows, model.rows(), model.projection.key)


def _step(projection: Projection, fold: Fold, turn: Overlay, events: pa.Table, until: int) -> None:
    """Of an overlay that is never flushed."""
    changes = apply(projection, fold, turn, events)
    turn.commit(changes.rows, until, changes.deleted)


def _placed(store: EventStore, events: pa.Table, head: int) -> pa.Table:
    """As they would stand in the log, had they been appended to it at that head rather than to an empty one."""
    there = {stream_id: store.stream_version(stream_id) for stream_id in events["stream_id"].unique().to_pylist()}
    before = pa.array([there[stream_id] for stream_id in events["stream_id"].to_pylist()], pa.int64())
    placed = {"position": pc.add(events["position"], head), "version": pc.add(events["version"], before)}
    return pa.table([placed.get(name, events[name]) for name in events.column_names], schema=events.schema)


def _last_recorded_at(store: EventStore, head: int) -> int:
    """In microseconds: the log's time never goes back."""
    recorded = store.read_all(max(0, head - 1), until=head).read_all()["recorded_at"].cast(pa.int64())
    return int(pc.max(recorded).as_py() or 0)


def _served(warehouse: str, projection: Projection) -> tuple[pa.Table, int]:
    """The rows and their checkpoint, of one state. By another reader: they may be of an older version, with other columns than are declared."""
    builds = Builds(warehouse)
    serving = builds.serving(projection)
    if serving is None or not is_table(builds.uri(projection.name, serving.build)):      # one that is begun serves before it has a row
        raise BuildError(projection.name, "nothing serves that it could be compared with", "rebuild it")
    uri = builds.uri(projection.name, serving.build)
    table = delta_table(uri)
    return delta_rows(uri, table), int(table.transaction_version(projection.name) or 0)
