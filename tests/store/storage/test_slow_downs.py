"""An object store that asks its clients to slow down, or is slow itself, costs them time: no event, no false refusal, no storm of requests."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from store import ANY, Event, OutcomeUnknownError, StorageError, open_store
from store.delta.delta_store import DeltaEventStore
from store.storage import breaker, connection
from tests.store.delta.victims import assert_dense, rows_of
from tests.store.storage.proxy import Proxy, Relay, Throttle, passed, slow_down

WRITERS = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proportions of real pauses, a tenth of them."""
    monkeypatch.setattr(connection, "FIRST_BACKOFF_S", 0.01)
    monkeypatch.setattr(connection, "MAX_BACKOFF_S", 0.2)
    monkeypatch.setattr(breaker, "OPEN_S", 0.2)


@pytest.fixture
def stores(proxy: Proxy, s3_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[DeltaEventStore]]:
    """Of a machine each."""
    opened = []
    for number in range(WRITERS):
        home = tmp_path / str(number)
        home.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(home))
        opened.append(open_store(s3_warehouse, create=True))
    yield opened
    proxy.always = None
    for store in opened:
        store.close()


def appended(store: DeltaEventStore, stream_id: str, count: int) -> None:
    """One event after the other at exact versions; what was not answered is repeated. A false refusal would end it."""
    for version in range(count):
        fact, done = [Event("Happened", {"number": version})], False
        while not done:
            try:
                assert store.append(stream_id, fact, version).version == version + 1
                done = True
            except (StorageError, OutcomeUnknownError):
                continue


def together(stores: Sequence[DeltaEventStore], work: Callable[[DeltaEventStore, int], None]) -> None:
    failures: list[BaseException] = []

    def run(store: DeltaEventStore, number: int) -> None:
        try:
            work(store, number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(store, number)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def assert_all_there(store: DeltaEventStore, counts: dict[str, int]) -> None:
    rows = rows_of(store)
    assert_dense(rows)
    assert {stream_id: sum(row["stream_id"] == stream_id for row in rows) for stream_id in counts} == counts
    assert len(rows) == sum(counts.values())


def test_writers_that_are_told_to_slow_down_lose_and_double_nothing(stores: list[DeltaEventStore], proxy: Proxy) -> None:
    proxy.always = throttle = Throttle(60, 10, passed)
    together(stores, lambda store, number: appended(store, f"own-{number}", 8))
    assert throttle.refused > 0, "nobody was told to slow down"
    proxy.always = None
    assert_all_there(stores[0], {f"own-{number}": 8 for number in range(WRITERS)})


def test_requests_that_are_told_to_slow_down_are_not_answered_by_a_storm(stores: list[DeltaEventStore], proxy: Proxy) -> None:
    """Who is refused pauses longer each time, so that of what arrives a fair part is let through."""
    proxy.always = throttle = Throttle(60, 10, passed)
    together(stores, lambda store, number: appended(store, f"own-{number}", 8))
    assert throttle.refused < 3 * throttle.passed


def test_clients_that_wait_for_a_slow_store_add_no_requests(stores: list[DeltaEventStore], proxy: Proxy) -> None:
    """Fifty share the tries of one commit."""
    store = stores[0]
    store.append("first", [Event("Happened", {})])
    proxy.asked.clear()
    proxy.always = slow_down
    answers: list[object] = []

    def client(_: DeltaEventStore, number: int) -> None:
        try:
            answers.append(store.append(f"s-{number}", [Event("Happened", {})], ANY))
        except StorageError as error:
            answers.append(error)

    together([store] * 50, client)
    assert len(answers) == 50
    assert all(isinstance(answer, StorageError) for answer in answers)
    assert len(proxy.asked) <= (breaker.FAILURES + 5) * (connection.RETRIES + 1)


def test_append_of_an_exact_version_is_not_refused_while_the_store_slows_down(stores: list[DeltaEventStore], proxy: Proxy) -> None:
    """Two writers of one stream, each at the version that it was told: only a version that has passed is refused."""
    one, other = stores[:2]
    appended(one, "shared", 3)
    proxy.always = Throttle(30, 5, passed)
    done = False
    fact = [Event("Happened", {"number": 3})]
    while not done:
        try:
            assert other.append("shared", fact, 3).version == 4
            done = True
        except (StorageError, OutcomeUnknownError):
            continue
    proxy.always = None
    assert_all_there(one, {"shared": 4})


def test_periods_in_which_all_takes_ten_times_as_long_are_passed(stores: list[DeltaEventStore], proxy: Proxy) -> None:
    """Every forty requests the store changes its pace."""
    count, lock = 0, threading.Lock()

    def paced(relay: Relay) -> None:
        nonlocal count
        with lock:
            count += 1
            slow = count // 40 % 2
        relay.proxy.released.wait(0.03 if slow else 0.003)
        passed(relay)

    proxy.always = paced
    together(stores, lambda store, number: appended(store, f"own-{number}", 8))
    assert count > 80, "it never slowed down"
    proxy.always = None
    assert_all_there(stores[0], {f"own-{number}": 8 for number in range(WRITERS)})
