"""From events to a state: the one loop that every load and every decision runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from store.draft import Row
from store.errors import InvalidEventError, StoreError, UnknownEventTypeError
from store.event_types.erased_event import ErasedEvent
from store.event_types.event_types import EventTypes
from store.event_types.raw_event import RawEvent

S = TypeVar("S")

Evolve = Callable[[S, Any], S]
"""(state, event) -> the state after it. Pure: it changes neither, since states are remembered and shared."""


class Folding(Protocol[S]):
    """How events become a state: see `Aggregate`, which says what these are."""

    @property
    def initial(self) -> S: ...

    @property
    def evolve(self) -> Evolve[S]: ...

    @property
    def types(self) -> EventTypes: ...

    @property
    def unknown(self) -> Evolve[S] | None: ...

    @property
    def erased(self) -> Evolve[S] | None: ...


@contextmanager
def about(stream_id: str) -> Iterator[None]:
    """Errors inside name the stream."""
    try:
        yield
    except StoreError as error:
        error.of_stream(stream_id)
        raise


def fold(folding: Folding[S], state: S, events: pa.Table, told: str) -> S:
    """The state after these events, in their order. `told`: what they are, for an error."""
    return fold_decoded(folding, state, decode(folding, events), told)


def fold_decoded(folding: Folding[S], state: S, events: Sequence[Any], told: str) -> S:
    """The same for events decoded already."""
    try:
        kinds = set(map(type, events))
        if ErasedEvent not in kinds and (not folding.types or RawEvent not in kinds):
            after = reduce(folding.evolve, events, state)
        else:
            after = reduce(partial(_evolve_known, folding), events, state)
        if after is None and folding.initial is not None:
            remedy = "return the state at the end of each of its branches, also where nothing changes"
            raise InvalidEventError("evolve", folding.evolve, f"gave None as the state after {events[-1]!r:.200}", remedy)
        return after
    except Exception as error:
        error.add_note(f"while folding {told}")
        raise


def decode(folding: Folding[S], events: pa.Table | pa.RecordBatch) -> list[Any]:
    """The objects that `evolve` is given: of the newest shapes, a split event as several."""
    return folding.types.decode(events)


def decode_rows(folding: Folding[S], rows: Sequence[Row], open_text: Callable[[str], str]) -> list[Any]:
    """The same of events that are not in the log yet. `open_text`: reads what is personal in their data."""
    return [event for row in rows for event in folding.types.decode_text(row[2], row[3], open_text(row[8]))]


def _evolve_known(folding: Folding[S], state: S, event: Any) -> S:
    if event.__class__ is ErasedEvent:
        return state if folding.erased is None else folding.erased(state, event)
    if event.__class__ is not RawEvent or not folding.types:
        return folding.evolve(state, event)
    if folding.unknown is None:
        raise UnknownEventTypeError(event.type, event.schema_version)
    return folding.unknown(state, event)
