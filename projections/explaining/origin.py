"""Where a row comes from: the events that touched it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from projections.errors import KeyRefusedError
from projections.forms.form import Fold
from projections.forms.row_shape import RowShape
from projections.projection import Projection
from projections.running.applying import touch
from projections.running.batches import Bounds, batches
from store import EVENTS, EventStore, rows_with

LIMIT: Final = 1000


def why(store: EventStore, projection: Projection, key: Mapping[str, Any], *, after: int = 0, limit: int = LIMIT) -> pa.Table:
    """The events past that position that touched the row of this key, in the columns and the order of the log: the first `limit` of them.

    All of them, also those before the row was last deleted, as they were recorded. Where there are more, go on after the last one's position. Reads
    the events of the projection's types and categories in bounded memory, and asks its code which rows they touch, of ever smaller parts:
    a row that nearly every event touches takes long, so bound it. KeyRefusedError: that is no key of its rows. ApplyError: an event that it
    cannot apply, or a part of the log that holds one.
    """
    if limit < 0:
        raise ValueError(f"limit {limit} is no count: give a number from 0 on")
    wanted, found, count = _key(projection, key), [EVENTS.empty_table()], 0
    with projection.form.open(projection) as fold:
        for events, _ in batches(store, projection, after, store.head(), Bounds()):
            for touching in _touching(projection, fold, events, wanted):
                if count == limit:
                    return pa.concat_tables(found)
                found.append(touching)
                count += 1
    return pa.concat_tables(found)


def _touching(projection: Projection, fold: Fold, events: pa.Table, wanted: pa.Table) -> Iterator[pa.Table]:
    """Each of these events that touches the key, as a table of its own."""
    if not len(events) or not len(rows_with(touch(projection, fold, events).keys, wanted, projection.key)):
        return
    if len(events) == 1:
        yield events
        return
    middle = len(events) // 2
    yield from _touching(projection, fold, events.slice(0, middle), wanted)
    yield from _touching(projection, fold, events.slice(middle), wanted)


def _key(projection: Projection, key: Mapping[str, Any]) -> pa.Table:
    declared = ", ".join(f"{name} ({projection.columns.field(name).type})" for name in projection.key)
    if set(key) != set(projection.key):
        raise KeyRefusedError(f"projection {projection.name!r}", f"has no key {dict(key)!r}", f"give {declared}")
    shape, values = RowShape(projection.columns, projection.key, dict), tuple(key[name] for name in projection.key)
    one = values if len(values) > 1 else values[0]
    try:
        shape.check_key(one)
        return shape.keys([one])
    except (ValueError, OverflowError) as error:
        raise KeyRefusedError(f"projection {projection.name!r}", f"has no key {dict(key)!r} ({error})", f"give {declared}") from error
