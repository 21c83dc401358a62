from __future__ import annotations

from store import Event, EventStore


def test_what_retention_removes_is_told_as_erased(store: EventStore) -> None:
    for stream_id in ("a", "b"):
        store.append(stream_id, [Event("Happened", {"to": stream_id})])
    [head] = store.audit.attest(by="ada", why="every day")
    store.retention.delete("a", by="ada", why="asked for")
    store.retention.remove(by="ada", why="asked for")
    [proof] = store.audit.check(head)
    assert proof.sound
    assert [(change.first, change.last, change.since) for change in proof.changes] == [(1, 2, None)]
    [later] = store.audit.attest(by="ada", why="every day")
    [proof] = store.audit.check(head, later)
    assert proof.sound
    assert [change.since for change in proof.changes] == [later.attested_at]
