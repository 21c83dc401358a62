"""Filling a read model by one query of Sail's, where a set of events needs no order: on one machine or many."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from projections.errors import DeclarationError, ExecutorError, Fault
from projections.forms.sql import Sql
from projections.models.model import Model
from projections.observer import LOGGED, Declined, Observer
from projections.projection import Projection
from projections.running.at_once import AtOnce, at_once, has_old_shapes
from projections.running.failing import Failing, Halt
from projections.running.runner import CaughtUp, fill
from projections.sail.query import SailQuery, sail_query
from projections.sail.sail import DoubtError, Sail, SailClient
from projections.sail.zones import differs
from store import EventStore, Guarded, Logs

_HALT: Final = Halt()


def fill_on_sail(
    store: EventStore, warehouse: str, model: Model, sail: Sail, *, failing: Failing = _HALT, observer: Observer = LOGGED
) -> CaughtUp:
    """`fill` of an empty model of a projection in SQL, with its rows made by one query of Sail's: the same rows, in one commit with the checkpoint.

    `fill` makes them as it does otherwise where it would not take one query itself (the model has rows, or old events are to be lifted), of several
    logs, and where Sail meets a value for which nobody has proven that it gives the same; `observer` is told why (`Declined`). The rows are in memory
    here.

    DeclarationError before anything begins, with the remedy: the projection is not in SQL, or says what is not proven. ExecutorError: Sail does not
    answer, or died, or does not see the log; nothing is written. Other errors as of `fill`.
    """
    projection, told, query = model.projection, Guarded(observer), _query(model.projection)
    if query is not None and not model.checkpoint() and not isinstance(store, Logs):
        return fill(store, model, failing=failing, observer=observer, all_at_once=_Sailing(sail, query, _place(warehouse), told).at_once)
    if query is None:
        why = "events may be of older shapes, which are lifted in Python"
    else:
        why = "the warehouse has several logs" if isinstance(store, Logs) else "the model has rows already, and is only caught up"
    told.record(Declined(projection.name, "sail", why))
    return fill(store, model, failing=failing, observer=observer)


def check_on_sail(projection: Projection) -> None:
    """DeclarationError, with the remedy: it is not in SQL, or the rows that Sail would make of it are not proven to be DuckDB's.

    One whose events may be of older shapes is not made by Sail in any case, and is not refused for what it says.
    """
    _query(projection)


def _query(projection: Projection) -> SailQuery | None:
    """None: it takes more than one query, as events may have to be lifted before the projection sees them."""
    if not isinstance(projection.form, Sql):
        raise DeclarationError(projection.name, Fault("form", "is not in SQL, which is all that Sail runs", "use `fill`, or `fill_by_shard`"))
    return None if has_old_shapes(projection) else sail_query(projection)


@dataclass(frozen=True, slots=True)
class _Sailing:
    """`at_once` by Sail, over the log in the table at `place`."""

    sail: Sail
    query: SailQuery
    place: str
    told: Guarded

    def at_once(self, store: EventStore, projection: Projection, until: int) -> AtOnce | None:
        with self.sail.connected() as client:
            try:
                return self._made(client, projection, until)
            except (DoubtError, pa.ArrowInvalid) as doubt:
                why = str(doubt)
        self.told.record(Declined(projection.name, "sail", why))
        return at_once(store, projection, until)

    def _made(self, client: SailClient, projection: Projection, until: int) -> AtOnce:
        seen = client.ask(self.query.seen(self.place, until)).to_pylist()[0]
        if seen["there"] != until:                 # positions are dense: it reads another table, or an old one
            problem = f"it sees {seen['there']:,} events up to position {until:,} at {self.place}"
            raise ExecutorError("sail", problem, "let its machines read the same warehouse under this very URI")
        for zone in self.query.zones:
            if differs(client, zone):
                raise DoubtError(f"Sail and DuckDB have different rules for {zone}")
        rows = client.ask(self.query.rows(self.place, until)).cast(projection.columns)
        if any(rows[name].null_count for name in projection.key):
            raise DoubtError("a key is null")
        return AtOnce(rows, seen["chosen"])


def _place(warehouse: str) -> str:
    root = warehouse if "://" in warehouse else str(Path(warehouse).expanduser().absolute())
    return f"{root.rstrip('/')}/events"
