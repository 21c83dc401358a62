from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import InvalidEventError
from store.logs.log_name import WHOLE, LogName
from store.shard import shard_of

parts = st.sampled_from([2, 4, 8, 16])
stream_ids = st.text(min_size=1, max_size=8)


@given(st.lists(parts, min_size=1, max_size=3), stream_ids)
def test_each_stream_is_in_one_part(into: list[int], stream_id: str) -> None:
    log = WHOLE
    for count in into:
        (log,) = [name for name in log.split(count) if name.holds(stream_id)]


@given(st.lists(parts, min_size=1, max_size=3), stream_ids)
def test_a_name_tells_what_the_log_holds(into: list[int], stream_id: str) -> None:
    log = WHOLE
    for count in into:
        log = log.split(count)[-1]
        assert LogName.parse(str(log)) == log


@given(st.lists(parts, max_size=3), stream_ids, st.integers(0, 4))
def test_a_log_meets_the_shards_of_its_streams(into: list[int], stream_id: str, depth: int) -> None:
    log = WHOLE
    for count in into:
        (log,) = [name for name in log.split(count) if name.holds(stream_id)]
    assert log.meets(shard_of(stream_id, depth))


def test_a_log_does_not_meet_the_shards_of_others() -> None:
    low, high = WHOLE.split(2)
    assert (str(low), str(high)) == ("h0-7", "h8-f")
    assert [low.meets(shard) for shard in ("h", "h7f", "h9", "h8a")] == [True, True, False, False]
    assert [high.meets(shard) for shard in ("h", "hff", "h0")] == [True, True, False]


def test_parts_are_named_after_their_shards() -> None:
    assert [str(name) for name in WHOLE.split(4)] == ["h0-3", "h4-7", "h8-b", "hc-f"]
    assert [str(name) for name in LogName.parse("h4-7").split(2)] == ["h4-5", "h6-7"]
    assert [str(name) for name in LogName.parse("h4-7").split(8)][:2] == ["h40-47", "h48-4f"]
    assert [str(name) for name in LogName.parse("h4").split(16)][::15] == ["h40", "h4f"]


@pytest.mark.parametrize("into", [0, 1, -2, 3, 5, 17, 2.0, True, None, 2**20])
def test_unequal_parts_are_refused(into: Any) -> None:
    with pytest.raises(InvalidEventError, match="equal parts"):
        WHOLE.split(into)


@pytest.mark.parametrize("name", ["", "g", "h-", "h3-2", "h3-44", "h3-", "hg", "h0123456", "../h", 3, None])
def test_what_names_no_log_is_refused(name: Any) -> None:
    with pytest.raises(InvalidEventError, match="no name of a log"):
        LogName.parse(name)


def test_the_first_log_is_where_a_warehouse_begins() -> None:
    assert WHOLE.uri("/w") == "/w/events"
    assert LogName.parse("h4-7").uri("s3://b/w") == "s3://b/w/logs/h4-7/events"
