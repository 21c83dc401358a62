"""What a verb costs in requests, counted between the store and S3: each is money and a round trip."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier

import pytest

from store import ANY, NO_STREAM, STREAM_EXISTS, Append, Event, open_store
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import facts, table
from tests.store.storage.proxy import Proxy, Relay, passed

COMMIT = ["PUT data", "PUT log"]


@pytest.fixture
def store(proxy: Proxy, s3_warehouse: str) -> Iterator[DeltaEventStore]:
    with open_store(s3_warehouse, create=True) as store:
        store.append("a", facts(3))
        store.append("b", facts(1))
        proxy.asked.clear()
        yield store


@pytest.mark.parametrize("expected", [3, ANY, STREAM_EXISTS])
def test_a_commit_to_a_known_stream_is_two_puts(store: DeltaEventStore, proxy: Proxy, expected: object) -> None:
    store.append("a", facts(2), expected)  # type: ignore[arg-type]
    assert proxy.counted() == COMMIT


@pytest.mark.parametrize("expected", [NO_STREAM, ANY])
def test_a_commit_to_a_new_stream_is_two_puts(store: DeltaEventStore, proxy: Proxy, expected: object) -> None:
    store.append("new", facts(1), expected)  # type: ignore[arg-type]
    assert proxy.counted() == COMMIT


def test_an_append_over_several_streams_is_two_puts(store: DeltaEventStore, proxy: Proxy) -> None:
    store.append_many([Append("a", facts(1), 3), Append("b", facts(1), ANY), Append("new", facts(1), NO_STREAM)])
    assert proxy.counted() == COMMIT


def test_a_table_of_known_streams_is_two_puts(store: DeltaEventStore, proxy: Proxy) -> None:
    store.append_table(table(100, stream_id=["a", "new"] * 50))
    assert proxy.counted() == COMMIT


def test_each_commit_of_many_is_two_puts(store: DeltaEventStore, proxy: Proxy) -> None:
    """Below the number after which a writer merges files."""
    for number in range(10):
        store.append("a", facts(1), 3 + number)
    assert proxy.counted() == COMMIT * 10


def test_after_another_writer_of_this_machine_a_look_comes_first(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str) -> None:
    with open_store(s3_warehouse) as other:
        other.append("b", facts(1))
    proxy.asked.clear()
    store.append("a", facts(1), 3)
    assert proxy.counted() == ["GET log", "GET log", *COMMIT]


def test_a_lost_race_costs_a_look_at_the_winner_and_the_commit_anew(
    store: DeltaEventStore, proxy: Proxy, s3_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # as on another machine
    with open_store(s3_warehouse) as other:
        other.append("b", facts(1))
    proxy.asked.clear()
    store.append("a", facts(1), 3)
    store.close()                                  # the removal of what was put in vain holds nobody up
    counted = proxy.counted()
    counted.remove("POST /warehouses?delete")
    assert counted == [*COMMIT, "GET log", "GET log", *COMMIT]     # the winner's commit, and that there is none after it


def test_where_others_commit_in_between_all_of_it_is_looked_for_at_once(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str) -> None:
    """As many as they made the last time, and one more: each look is answered only when four of them are under way.

    The first time they are looked for one by one, and from the third look on by twos, fours and so on.
    """
    together = Barrier(4, timeout=30)

    def at_once(relay: Relay) -> None:
        if relay.command == "GET":
            together.wait()
        passed(relay)

    with open_store(s3_warehouse) as other:
        for round in range(2):
            for _ in range(3):
                other.append("b", facts(1))
            proxy.asked.clear()
            if round:
                proxy.always = at_once
            store.append("a", facts(1))
            assert proxy.counted() == ["GET log"] * 4 + COMMIT
            proxy.always = None


def test_a_look_at_an_idle_log_is_one_get(store: DeltaEventStore, proxy: Proxy) -> None:
    assert store.head() == 4
    assert proxy.counted() == ["GET log"]
    assert store.stream_version("a") == 3
    assert proxy.counted() == ["GET log"]


def test_a_stream_that_this_writer_wrote_is_read_by_one_get(store: DeltaEventStore, proxy: Proxy) -> None:
    assert store.read_stream("a").num_rows == 3
    assert proxy.counted() == ["GET log"]


def test_a_stream_is_read_by_one_head_and_one_get_a_file_and_then_from_memory(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str) -> None:
    with open_store(s3_warehouse) as other:
        proxy.asked.clear()
        assert other.read_stream("a").num_rows == 3
        assert proxy.counted() == ["GET log", "HEAD data", "GET data"]
        assert other.read_stream("a").num_rows == 3
        assert proxy.counted() == ["GET log"]


def test_sql_asks_for_the_size_of_a_file_once(store: DeltaEventStore, proxy: Proxy) -> None:
    for _ in range(2):
        assert store.sql("select count(*) from events").fetchall() == [(4,)]
    counted = proxy.counted()
    assert set(counted) == {"GET log", "HEAD data", "GET data"}
    assert (counted.count("HEAD data"), counted.count("GET log")) == (2, 2)


def test_group_commit_shares_two_puts(store: DeltaEventStore, proxy: Proxy) -> None:
    """However many tasks append at once, the requests are those of the commits."""
    import asyncio

    async def many() -> None:
        await asyncio.gather(*(store.aio.append(f"s-{number}", [Event("Happened", {})]) for number in range(200)))

    asyncio.run(many())
    commits = len(proxy.asked) // 2
    assert sorted(proxy.counted()) == sorted(COMMIT * commits)
    assert commits < 100
