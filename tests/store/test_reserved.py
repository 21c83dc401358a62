from __future__ import annotations

import pytest

from store import Append, Event, EventStore, InvalidEventError, WrongExpectedVersionError
from store.reserved import AUDIT, append_own
from tests.store.facts import fact, facts, table


def test_the_stores_own_streams_are_read_like_any(store: EventStore) -> None:
    appended = append_own(store, [Append(AUDIT, [Event("Repaired", {"by": "ada"})]), Append("a", facts(1))])
    assert [one.version for one in appended] == [1, 1]
    assert store.read_stream(AUDIT)["data"].to_pylist() == ['{"by":"ada"}']
    assert [batch["stream_id"].to_pylist() for batch in store.read_all()] == [[AUDIT, "a"]]


def test_expectations_of_the_stores_own_appends_hold(store: EventStore) -> None:
    with pytest.raises(WrongExpectedVersionError):
        append_own(store, [Append(AUDIT, [fact()]), Append("a", [], expected_version=1)])
    assert store.head() == 0


def test_nobody_else_appends_to_them(store: EventStore) -> None:
    for append in (
        lambda: store.append(AUDIT, [fact()]),
        lambda: store.append_many([Append(AUDIT, [fact()])]),
        lambda: store.append_table(table(2, stream_id=["a", AUDIT])),
    ):
        with pytest.raises(InvalidEventError, match=r"stream_id '\$audit' begins with \$.*: begin it with another character"):
            append()
    assert store.head() == 0
