"""What was done to the store itself, and by whom: events of the stream `$audit`, which nobody else can append to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from store.append import Append, Appended
from store.draft import check_text
from store.event import Event, RecordedEvent
from store.event_store import EventStore
from store.limits import MAX_NAME_BYTES
from store.reserved import AUDIT, append_own
from store.submits import Submits

if TYPE_CHECKING:                                  # it imports what asks for a name before it does something
    from store.submits import Submits

UNKNOWN: Final = "unknown"
"""Who did it, or why, where a caller does not say."""

# Types of deeds; erasures and removals name theirs where they are done.
KEY_DELETED: Final = "KeyDeleted"
KEY_ROTATED: Final = "KeyRotated"
REPAIRED: Final = "Repaired"
RESTORED: Final = "Restored"
SPLIT: Final = "Split"

FINDINGS: Final = 100
"""So many findings a deed tells at most: it is an event, and has its largest size."""


@dataclass(frozen=True, slots=True)
class Deed:
    """`type`: what was done, in the past tense, such as `Erased`. `by`: a person or a service. `what`: of which things, as JSON can hold it.

    No part of it is ever erased, so nothing stands in it that may have to be: say whose data it was by an id that tells nothing by itself.
    """

    type: str
    by: str
    why: str
    what: Mapping[str, Any] = field(default_factory=dict)


def check_named(by: str, why: str) -> None:
    """InvalidEventError: nobody, or no reason, is named. To be asked before anything is done."""
    check_text("by", by, MAX_NAME_BYTES)
    check_text("why", why, MAX_NAME_BYTES)


def record(store: Submits, deed: Deed) -> Appended:
    """Durably. InvalidEventError: nobody, or nothing, is named."""
    return append_own(store, [recording(deed)])[0]


def recording(deed: Deed) -> Append:
    """The part that records a deed in an append of what it does. InvalidEventError: nobody, or nothing, is named."""
    check_named(deed.by, deed.why)
    return Append(AUDIT, [Event(deed.type, {"by": deed.by, "why": deed.why, "what": dict(deed.what)})])


def deeds(store: EventStore, after: int = 0) -> Iterator[tuple[RecordedEvent, Deed]]:
    """All of them past that version of `$audit`, oldest first, each with its place."""
    for event in RecordedEvent.each(store.read_stream(AUDIT, after)):
        said = event.payload()
        yield event, Deed(event.type, said["by"], said["why"], said["what"])
