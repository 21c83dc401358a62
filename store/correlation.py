"""Which operation an event belongs to, and which event brought it about: handed on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from store.event import RecordedEvent, new_event_id


class Cause(NamedTuple):
    """What an event gets that is appended without ids of its own."""

    correlation_id: str | None = None
    causation_id: str | None = None


_NONE: Final = Cause()
_CAUSE: Final[ContextVar[Cause]] = ContextVar("alluvium_cause")


def cause() -> Cause:
    """The one of this thread or task; empty outside of `correlated` and `caused_by`."""
    return _CAUSE.get(_NONE)


@contextmanager
def correlated(correlation_id: str | None = None, causation_id: str | None = None) -> Iterator[str]:
    """Events appended inside, and errors and measurements of what goes on inside, carry these ids; gives the correlation id.

    Without one it goes on with the surrounding one, or begins a new one. An event's own ids win. Threads that are
    started inside do not know it; asyncio tasks do. TypeError: an id is no str.
    """
    for given_id in (correlation_id, causation_id):
        if given_id is not None and not isinstance(given_id, str):
            raise TypeError(f"{given_id!r} is no id: give a str")
    before = cause()
    given = correlation_id or before.correlation_id or new_event_id()
    token = _CAUSE.set(Cause(given, causation_id or before.causation_id))
    try:
        yield given
    finally:
        _CAUSE.reset(token)


def caused_by(event: RecordedEvent) -> AbstractContextManager[str]:
    """What is appended inside was brought about by this event: its id is their causation id, its correlation id is theirs too.

    TypeError: it is none that was read from the log; `RecordedEvent.each(store.read_stream(...))` gives such.
    """
    if not isinstance(event, RecordedEvent):
        raise TypeError(f"{event!r:.200} was not read from the log: give one of RecordedEvent.each(store.read_stream(...))")
    return correlated(event.correlation_id or event.event_id, event.event_id)
