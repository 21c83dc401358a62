"""The log as a projection reads it: in batches, only of its types, in their newest shapes."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from projections.projection import Projection
from store import EventStore


def batches(store: EventStore, projection: Projection, after: int, head: int, batch_events: int) -> Iterator[tuple[pa.Table, int]]:
    """The events in slices, as they are stored, each with the checkpoint it leads to. The last one leads to the head and may be empty."""
    if batch_events < 1:
        raise ValueError(f"batch_events is {batch_events}: give at least 1")
    reader = store.read_all(after, until=head, types=_stored(projection), categories=projection.categories)
    waiting, reached = reader.schema.empty_table(), after
    for batch in reader:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while len(waiting) >= batch_events:
            reached = waiting["position"][batch_events - 1].as_py()
            yield waiting.slice(0, batch_events), reached
            waiting = waiting.slice(batch_events)
    if reached < head:
        yield waiting, head


def newest(projection: Projection, events: pa.Table) -> pa.Table:
    """These events in their newest shapes: those of a split event repeat its position, those that are of other types now are left out.

    UnreadableEventError: one cannot be lifted.
    """
    if projection.event_types is None:
        return events
    lifted, wanted = projection.event_types.upcast(events), projection.form.reads(projection)
    return lifted if wanted is None else lifted.filter(pc.is_in(lifted["type"], value_set=pa.array(wanted, pa.string())))


def _stored(projection: Projection) -> list[str] | None:
    """What the events of its types may be called in the log."""
    wanted, event_types = projection.form.reads(projection), projection.event_types
    if wanted is None or event_types is None:
        return None if wanted is None else list(wanted)
    return sorted(frozenset().union(*map(event_types.stored_names, wanted)))
