"""What `$retention` says is heard in time, by all processes, and whatever it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import NO_STREAM, Append, Event, EventStore, StreamEndedError, open_logs, open_store
from store.reserved import append_own
from tests.store.facts import fact, facts

SAID = {"by": "ada", "why": "asked for"}


def test_what_is_said_while_the_policy_is_read_is_not_forgotten(tmp_path: Path) -> None:
    """The reader finds a file vacuumed, looks at the log again, and hears of more than it set out to read."""
    with open_store(tmp_path, create=True) as store:
        store.append("s-1", facts(1))
        store.retention.keep("t-9", max_count=5, **SAID)
        with open_store(tmp_path) as other:
            store.append("q-1", facts(3))
            store.compact()
            store.retention.tombstone("s-1", **SAID)
            store.vacuum(0)
            other.read_stream("s-1")
            with pytest.raises(StreamEndedError):
                other.append("s-1", facts(1))
            assert other.retention.of("s-1").tombstoned


def test_words_of_newer_code_are_passed_over(store: EventStore) -> None:
    append_own(store, [Append("$retention", [Event("Renamed", {"from": "a", "to": "b"})])])
    assert [store.append("x-1", facts(1)).version for _ in range(2)] == [1, 2]
    store.retention.truncate("x-1", 2, **SAID)
    assert store.read_stream("x-1")["version"].to_pylist() == [2]


def test_who_began_a_stream_anew_is_recognised_after_it_was_deleted_again(store: EventStore) -> None:
    lives = [fact(1), fact(2), fact(3)]
    appended = []
    for event in lives:
        appended.append(store.append("s-1", [event], NO_STREAM))
        store.retention.delete("s-1", **SAID)
    assert [store.append("s-1", [event], NO_STREAM) for event in lives] == appended
    assert store.stream_version("s-1") == 0


def test_retention_of_a_warehouse_of_logs_hears_what_others_said(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store, open_logs(tmp_path) as logs:
        store.append("s-1", facts(5))
        assert logs.head() == 5
        store.retention.truncate("s-1", 4, **SAID)
        assert logs.retention.remove(dry_run=True, **SAID).streams == {"s-1": 3}

