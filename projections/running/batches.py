"""The log as a projection reads it: in batches, only of its types, in their newest shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.projection import Projection
from store import EventStore, without_husks

_BESIDE_BYTES: Final = 200
"""What an event takes in memory beside its data, about."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one batch, which is in memory as a whole: so many events at most, and about so many bytes; one event at least."""

    events: int = 100_000
    data_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.events < 1 or self.data_bytes < 1:
            raise ValueError(f"a batch of {self.events} events and {self.data_bytes} bytes at most can hold none: give at least 1 of each")


def batches(
    store: EventStore, projection: Projection, after: int, until: int, bounds: Bounds, shards: Sequence[str] | None = None
) -> Iterator[tuple[pa.Table, int]]:
    """The events in slices, as they are stored, each with the checkpoint it leads to. The last one leads to `until` and may be empty.

    `shards`: of these alone.
    """
    reader = store.read_all(after, until=until, types=stored_types(projection), categories=projection.categories, shards=shards)
    waiting, reached = reader.schema.empty_table(), after
    for batch in reader:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while (full := _full(waiting, bounds)) is not None:
            reached = waiting["position"][full - 1].as_py()
            yield waiting.slice(0, full), reached
            waiting = waiting.slice(full)
    if reached < until:
        yield waiting, until


def newest(projection: Projection, events: pa.Table) -> pa.Table:
    """These events in their newest shapes: those of a split event repeat its position, those that are of other types now are left out.

    So are those whose payload was erased, unless the form has its own way with them.
    UnreadableEventError: one cannot be lifted.
    """
    if not projection.form.sees_erased:
        events = without_husks(events)
    if projection.event_types is None:
        return events
    lifted, wanted = projection.event_types.upcast(events), projection.form.reads(projection)
    return lifted if wanted is None else lifted.filter(pc.is_in(lifted["type"], value_set=pa.array(wanted, pa.string())))


def stored_types(projection: Projection) -> list[str] | None:
    """What the events of its types may be called in the log."""
    wanted, event_types = projection.form.reads(projection), projection.event_types
    if wanted is None or event_types is None:
        return None if wanted is None else list(wanted)
    return sorted(frozenset().union(*map(event_types.stored_names, wanted)))


def _full(waiting: pa.Table, bounds: Bounds) -> int | None:
    """How many of the waiting events make a batch; None: it is not full yet."""
    some = waiting.slice(0, bounds.events)
    sizes = pc.add(pc.binary_length(some["data"]), _BESIDE_BYTES)
    within = pc.sum(pc.less_equal(pc.cumulative_sum(sizes.cast(pa.int64())), bounds.data_bytes)).as_py() or 0
    return max(1, within) if len(some) == bounds.events or within < len(some) else None
