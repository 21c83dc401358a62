from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from store import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    Append,
    Appended,
    DuplicateEventError,
    Event,
    EventStore,
    Held,
    InvalidEventError,
    MemoryEventStore,
    Query,
    Rule,
    StreamEndedError,
    WrongExpectedVersionError,
)
from store.deeds import Deed, deeds
from store.draft import any_draft
from store.reply import Reply
from tests.store.facts import fact, facts, table

SAID = {"by": "ada", "why": "the customer asked for it"}


def versions(store: EventStore, stream_id: str = "a-1", **asked: object) -> list[int]:
    read = store.read_stream(stream_id, **asked)  # type: ignore[arg-type]
    return [int(version) for version in read["version"].to_pylist()]


def test_a_deleted_stream_reads_as_if_it_did_not_exist(store: EventStore) -> None:
    store.append("a-1", facts(3))
    held = store.retention.delete("a-1", **SAID)
    assert (held.version, held.hidden, held.deleted) == (3, 3, True)
    assert (versions(store), versions(store, backward=True), store.stream_version("a-1"), store.version_at("a-1", 3)) == ([], [], 0, 0)
    assert store.sql("from stream('a-1')").fetchall() == store.sql("from history('a-1')").fetchall() == []
    assert store.sql("select stream_id from state('a')").fetchall() == []


def test_the_log_as_a_whole_shows_what_is_hidden_until_it_is_removed(store: EventStore) -> None:
    store.append("a-1", facts(3))
    store.retention.delete("a-1", **SAID)
    assert [row for batch in store.read_all(categories=["a"]) for row in batch["version"].to_pylist()] == [1, 2, 3]
    assert store.sql("select count(*) from events where stream_id = 'a-1'").fetchall() == [(3,)]


@pytest.mark.parametrize("expected", [ANY, NO_STREAM, 3], ids=str)
def test_a_deleted_stream_goes_on_behind_its_last_version(store: EventStore, expected: int) -> None:
    store.append("a-1", facts(3))
    store.retention.delete("a-1", **SAID)
    assert store.append("a-1", facts(2), expected_version=expected).first_version == 4
    assert (versions(store), versions(store, after=4), store.stream_version("a-1")) == ([4, 5], [5], 5)


@pytest.mark.parametrize("expected", [STREAM_EXISTS, 1, 2, 4], ids=str)
def test_a_deleted_stream_is_nowhere_else(store: EventStore, expected: int) -> None:
    store.append("a-1", facts(3))
    store.retention.delete("a-1", **SAID)
    with pytest.raises(WrongExpectedVersionError) as raised:
        store.append("a-1", [fact()], expected_version=expected)
    assert raised.value.actual == 0


def test_a_repeat_is_recognised_on_both_sides_of_a_deletion(store: EventStore) -> None:
    before, after = facts(2), facts(2)
    first = store.append("a-1", before, expected_version=NO_STREAM)
    store.retention.delete("a-1", **SAID)
    assert store.append("a-1", before, expected_version=NO_STREAM) == first
    second = store.append("a-1", after, expected_version=NO_STREAM)
    assert store.append("a-1", after, expected_version=NO_STREAM) == second
    assert store.append("a-1", before) == first
    with pytest.raises(WrongExpectedVersionError):
        store.append("a-1", [fact()], expected_version=NO_STREAM)
    with pytest.raises(DuplicateEventError):
        store.append("a-1", [before[0], fact()])


def test_a_tombstone_is_for_ever(store: EventStore) -> None:
    events = facts(2)
    appended = store.append("a-1", events)
    assert store.retention.tombstone("a-1", **SAID).tombstoned
    for expected in (ANY, NO_STREAM, STREAM_EXISTS, 2):
        with pytest.raises(StreamEndedError, match="was tombstoned, so it takes no events for ever: append to another stream") as raised:
            store.append("a-1", [fact()], expected_version=expected)
        assert (raised.value.stream_id, raised.value.tombstoned) == ("a-1", True)
    assert (versions(store), store.stream_version("a-1")) == ([], 0)
    assert store.append("a-1", events) == appended


def test_an_id_that_never_was_can_be_tombstoned(store: EventStore) -> None:
    store.retention.tombstone("a-1", **SAID)
    with pytest.raises(StreamEndedError):
        store.append("a-1", [fact()], expected_version=NO_STREAM)
    assert store.append("a-2", [fact()]).version == 1


def test_a_closed_stream_is_read_and_takes_no_more(store: EventStore) -> None:
    events = facts(2)
    appended = store.append("a-1", events)
    assert store.retention.close("a-1", 2, **SAID).closed
    with pytest.raises(StreamEndedError, match="was closed, so it can be read and takes no more events") as raised:
        store.append("a-1", [fact()], expected_version=2)
    assert not raised.value.tombstoned
    assert (versions(store), store.stream_version("a-1")) == ([1, 2], 2)
    assert store.append("a-1", events) == appended


def test_every_way_to_append_is_refused(store: EventStore) -> None:
    store.append("a-1", facts(1))
    store.retention.close("a-1", **SAID)

    async def append() -> None:
        await store.aio.append("a-1", [fact()])

    for refused in (
        lambda: store.append_many([Append("b", facts(1)), Append("a-1", facts(1))]),
        lambda: store.append_table(table(2, stream_id=["b", "a-1"])),
        lambda: store.append("a-1", [fact()], fail_if=Query(["Nothing"])),
        lambda: asyncio.run(append()),
    ):
        with pytest.raises(StreamEndedError):
            refused()
    assert store.stream_version("b") == 0


def test_a_check_of_an_ended_stream_is_no_append(store: EventStore) -> None:
    store.append("a-1", facts(1))
    store.retention.close("a-1", **SAID)
    store.retention.tombstone("c-1", **SAID)
    store.append_many([Append("a-1", [], 1), Append("c-1", [], NO_STREAM), Append("b", facts(1))])
    with pytest.raises(WrongExpectedVersionError):
        store.append_many([Append("c-1", [], STREAM_EXISTS), Append("b", facts(1))])


def test_a_truncated_stream_begins_later(store: EventStore) -> None:
    store.append("a-1", facts(5))
    assert store.retention.truncate("a-1", 4, **SAID).hidden == 3
    assert (versions(store), versions(store, limit=1), versions(store, backward=True, limit=1), versions(store, after=4)) == ([4, 5], [4], [5], [5])
    assert store.append("a-1", [fact()], expected_version=5).version == 6
    assert store.retention.truncate("a-1", 2, **SAID).hidden == 3
    assert (store.retention.truncate("a-1", 7, **SAID).hidden, versions(store), store.stream_version("a-1")) == (6, [], 6)
    with pytest.raises(InvalidEventError, match="before 8 is no version of a stream at 6: give a number from 1 to 7"):
        store.retention.truncate("a-1", 8, **SAID)


def test_counts_are_kept_as_a_stream_grows(store: EventStore) -> None:
    store.append("a-1", facts(5))
    store.retention.keep("a", max_count=2, **SAID)
    assert versions(store) == [4, 5]
    store.append("a-1", facts(1))
    assert (versions(store), store.stream_version("a-1")) == ([5, 6], 6)


def test_a_streams_own_rule_stands_in_place_of_its_categorys(store: EventStore) -> None:
    for stream_id in ("a", "a-1", "a-2", "ab-1"):
        store.append(stream_id, facts(3))
    store.retention.keep("a", max_count=1, **SAID)
    store.retention.keep("a-2", **SAID)
    assert [versions(store, stream_id) for stream_id in ("a", "a-1", "a-2", "ab-1")] == [[3], [3], [1, 2, 3], [1, 2, 3]]
    assert store.retention.rules() == {"a": Rule(max_count=1), "a-2": Rule()}
    assert store.retention.of("a-1") == Held("a-1", 3, 2, Rule(max_count=1), deleted=False, tombstoned=False, closed=False)
    seen = store.sql("select stream_id, version from visible_events where stream_id[1] = 'a' order by position").fetchall()
    assert seen == [("a", 3), ("a-1", 3), ("a-2", 1), ("a-2", 2), ("a-2", 3), ("ab-1", 1), ("ab-1", 2), ("ab-1", 3)]
    store.retention.keep("a", **SAID)
    assert versions(store) == [1, 2, 3]


def test_age_is_judged_at_each_read() -> None:
    now = 1_700_000_000_000_000
    store = MemoryEventStore(clock=lambda: now)
    store.append("a-1", facts(1))
    now += 60_000_000
    store.append("a-1", facts(1))
    store.retention.keep("a-1", max_age=timedelta(seconds=60), **SAID)
    assert versions(store) == [2]
    now += 60_000_000
    assert (versions(store), store.stream_version("a-1"), store.retention.of("a-1").hidden) == ([], 2, 2)


def test_what_hides_for_good_is_a_deed(store: EventStore) -> None:
    store.append("a-1", facts(3))
    store.retention.keep("a", max_count=3, **SAID)
    store.retention.truncate("a-1", 2, **SAID)
    store.retention.close("a-1", **SAID)
    store.retention.delete("a-1", **SAID)
    store.retention.tombstone("a-1", **SAID)
    done = [deed for _, deed in deeds(store)]
    assert [deed.type for deed in done] == ["StreamTruncated", "StreamDeleted", "StreamTombstoned"]
    assert done[0] == Deed("StreamTruncated", **SAID, what={"stream_id": "a-1", "before": 2})
    assert store.read_stream("$retention")["type"].to_pylist() == ["Kept", "Truncated", "Closed", "Deleted", "Tombstoned"]


def test_saying_it_again_says_nothing(store: EventStore) -> None:
    store.append("a-1", facts(1))
    for say in (store.retention.close, store.retention.delete, store.retention.tombstone):
        say("a-1", **SAID)
        head = store.head()
        say("a-1", **SAID)
        assert store.head() == head
    store.retention.delete("nobody", **SAID)
    assert store.head() == head


def test_a_stream_is_ended_where_it_was_expected(store: EventStore) -> None:
    store.append("a-1", facts(2))
    for say in (store.retention.close, store.retention.delete, store.retention.tombstone):
        with pytest.raises(WrongExpectedVersionError, match="stream 'a-1' is at version 2, expected 1"):
            say("a-1", 1, **SAID)
        with pytest.raises(WrongExpectedVersionError):
            say("nobody", STREAM_EXISTS, **SAID)
    assert store.read_stream("$retention").num_rows == 0


def test_bad_input_is_refused(store: EventStore) -> None:
    keep = store.retention.keep
    for refused, match in (
        (lambda: keep("$audit", max_count=1, **SAID), "is one of the store's own, whose streams are kept for ever"),
        (lambda: store.retention.delete("$audit", **SAID), "is one of the store's own"),
        (lambda: keep("a", max_count=0, **SAID), "max_count 0 is no count"),
        (lambda: keep("a", max_age=timedelta(0), **SAID), "max_age .* is no age"),
        (lambda: keep("a", max_age=60, **SAID), "max_age 60 is no age"),  # type: ignore[arg-type]
        (lambda: keep("", max_count=1, **SAID), "name '' is empty"),
        (lambda: keep("a", by="", why="so"), "by '' is empty"),
        (lambda: store.retention.delete("a-1", by="ada", why=""), "why '' is empty"),
        (lambda: store.retention.close("nobody", **SAID), "has no events to be closed behind: tombstone it"),
        (lambda: store.retention.truncate("a-1", 0, **SAID), "before 0 is no version"),
        (lambda: store.retention.delete("a-1", -1, **SAID), "expected_version -1 is no expectation"),
    ):
        with pytest.raises(InvalidEventError, match=match):
            refused()
    assert store.head() == 0
    store.retention.tombstone("a-1", **SAID)
    for ended in (lambda: store.retention.delete("a-1", **SAID), lambda: store.retention.close("a-1", **SAID)):
        with pytest.raises(StreamEndedError):
            ended()


def test_what_is_said_counts_for_those_behind_it_in_one_commit(store: EventStore) -> None:
    """They wait together, and are decided one after the other."""
    store.append("a-1", facts(1))
    said = [Event("Tombstoned", {"stream_id": "a-1", "version": 1, **SAID})]
    replies: list[Reply[list[Appended]]] = [Reply() for _ in range(3)]
    for reply, (stream_id, events) in zip(replies, [("a-1", facts(1)), ("$retention", said), ("a-1", facts(1))], strict=True):
        store.submit([any_draft(stream_id, events, ANY)], reply)  # type: ignore[attr-defined]
    assert [one.version for reply in replies[:2] for one in reply.wait()] == [2, 1]
    with pytest.raises(StreamEndedError):
        replies[2].wait()
