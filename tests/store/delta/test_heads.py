"""Heads: every handle knows how long a stream is, whoever wrote it and however much at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import WrongExpectedVersionError, open_store
from store.delta.actions import LISTED_STREAMS
from tests.store.facts import facts, table


def test_version_moves_on_with_another_s_commit_of_more_streams_than_it_lists(tmp_path: Path) -> None:
    """Else this handle would give the stream's next version a second time."""
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        other.append("a", facts(1))
        assert store.head() == 1
        rows = LISTED_STREAMS + 1
        other.append_table(table(rows, stream_id=["a", *(f"b-{number}" for number in range(1, rows))]))
        with pytest.raises(WrongExpectedVersionError):
            store.append("a", facts(1), 1)
        assert store.append("a", facts(1), 2).version == 3
        assert store.read_stream("a")["version"].to_pylist() == [1, 2, 3]


def test_repeat_of_another_s_append_is_recognised(tmp_path: Path) -> None:
    """Although this handle remembers what the stream's last events were before."""
    mine, theirs = facts(2)
    with open_store(str(tmp_path), create=True) as store, open_store(str(tmp_path)) as other:
        store.append("a", [mine])
        assert store.append("a", [mine]) == (1, 1, 1, 1)
        other.append("a", [theirs])
        assert store.append("a", [theirs]) == (2, 2, 2, 2)
        assert store.head() == 2
