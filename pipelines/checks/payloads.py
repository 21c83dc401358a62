"""What events say, against the classes and schemas of their types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict, counted
from pipelines.checks.rows import failures
from pipelines.checks.stretch import Stretch
from store import Confidant, EventTypes, UnreadableEventError

MOST_FAILURES: Final = 100
"""So many are counted; then it looks no further."""


def payloads_decode(event_types: EventTypes) -> Check:
    """Incremental: what came since the last verdict. When the types change, and in full, from the first event."""
    holds = "Every event of a known type decodes into its class, older ones through their steps, and passes the type's pandera schema."
    return Check(name="payloads", holds=holds, look=lambda look: _look(look, event_types))


def _look(look: Look, event_types: EventTypes) -> Verdict:
    by = hashlib.md5(f"{look.warehouse} {event_types}".encode(), usedforsecurity=False).hexdigest()
    stretch, failing, unknown = Stretch.of(look, by), list[dict[str, Any]](), set[str]()
    known = {name for event_type in event_types for name in event_types.stored_names(event_type.name)}
    for batch in look.store.read_all(stretch.after, until=stretch.until):
        unknown |= set(batch.column("type").unique().to_pylist()) - known
        failing += _unreadable(look.store.privacy, event_types, pa.Table.from_batches([batch]), MOST_FAILURES - len(failing))
        if len(failing) >= MOST_FAILURES:
            break
    told = {**stretch.told(min((row["position"] for row in failing), default=None)), "unknown_types": ", ".join(sorted(unknown)) or "none"}
    if not failing:
        return Verdict(told=told)
    more = " or more" if len(failing) == MOST_FAILURES else ""
    problem = f"not readable by the classes: {counted(len(failing), 'event')}{more}; mend the classes, or add a step (the log does not change)"
    return Verdict(problem=problem, rows=failing[:SHOWN_ROWS], failing=len(failing), told=told)


def _unreadable(privacy: Confidant, event_types: EventTypes, events: pa.Table, most: int) -> list[dict[str, Any]]:
    """Those that fail, `most` of them: decoding stops at the first one, so it goes on behind it.

    A schema is for what was said: of an event with redacted values it could say nothing but that these are redacted. And why an event with personal
    values fails is told without any: a class shows what it was given, and Dagster keeps that.
    """
    sealed = privacy.sealed(events)
    secret = set(events["position"].filter(sealed).to_pylist())
    failing, rest, good = list[dict[str, Any]](), privacy.open(events), events.filter(pc.invert(sealed))
    while len(rest) and len(failing) < most:
        try:
            event_types.decode(rest)
            break
        except UnreadableEventError as error:
            place = {"position": error.position, "stream_id": error.stream_id, "version": error.version, "type": error.type}
            failing.append({**place, "why": error.bare_reason if error.position in secret else error.reason})
            rest, good = (table.filter(pc.not_equal(table["position"], error.position)) for table in (_behind(rest, error.position), good))
    return [*failing, *_broken(event_types, good)][:most] if len(failing) < most else failing


def _behind(events: pa.Table, position: int | None) -> pa.Table:
    return events.filter(pc.greater(events["position"], position))


def _broken(event_types: EventTypes, events: pa.Table) -> Iterator[dict[str, Any]]:
    """Those that decode, and break the schema of their type."""
    for event_type in event_types:
        if event_type.contract is None:
            continue
        frame = pl.DataFrame(pl.from_arrow(event_types.plain_columns(events, event_type.name)))
        whole, by_row = failures(event_type.contract, frame) if len(frame) else ([], {})
        if whole:
            by_row = {0: whole, **by_row}
        for index, why in by_row.items():
            place = frame.select("position", "stream_id", "version").row(index, named=True)
            yield {**place, "type": event_type.name, "why": ", ".join(why)}
