"""What a grant shows of snapshots: no state of events that are hidden from everybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from store import EVERY, Aggregate, Event, EventStore, Grant, SnapshotPolicy, snapshot

notes = Aggregate(category="note", initial="", evolve=lambda state, event: event.data.decode(), snapshots=SnapshotPolicy())
GRANT = Grant(categories=["note"], data=EVERY, tables={"snapshots": EVERY})
BY = {"by": "me", "why": "a test"}


@pytest.mark.parametrize(
    "hide",
    [
        lambda store: store.retention.delete("note-1", **BY),
        lambda store: store.retention.tombstone("note-1", **BY),
        lambda store: store.retention.truncate("note-1", 2, **BY),
        lambda store: store.retention.keep("note-1", max_count=1, **BY),
    ],
)
def test_of_a_stream_that_hides_something_none_is_shown(store: EventStore, hide: Callable[[EventStore], object]) -> None:
    """It may be of a state that the hidden events made."""
    for id in ("1", "2"):
        store.append(f"note-{id}", [Event("Written", {"text": f"secret {id}"}), Event("Written", {"text": f"last words {id}"})])
        snapshot(store, notes, id)
    asked = "select stream_id from snapshots order by all"
    assert store.ask(asked, grant=GRANT)["stream_id"].to_pylist() == ["note-1", "note-2"]
    hide(store)
    assert store.ask(asked, grant=GRANT)["stream_id"].to_pylist() == ["note-2"]
    assert store.ask(asked, grant=GRANT, as_of=datetime.now(UTC))["stream_id"].to_pylist() == ["note-2"]
