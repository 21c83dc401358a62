"""Streams of the store's own, whose ids begin with `$`: everybody reads them, and only the store appends to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from store.append import Append, Appended
from store.draft import any_draft
from store.reply import Reply
from store.submits import Submits

if TYPE_CHECKING:                                  # as for `store.deeds`
    from store.submits import Submits

AUDIT: Final = "$audit"
"""What was done to the store itself, and by whom."""


def append_own(store: Submits, appends: Sequence[Append]) -> list[Appended]:
    """Append to any streams, atomically and durably. The application's contract is not asked: it knows nothing of these events.

    For errors see `EventStore.append_many`.
    """
    reply: Reply[list[Appended]] = Reply()
    store.submit([any_draft(append.stream_id, append.events, append.expected_version) for append in appends], reply)
    return reply.wait()
