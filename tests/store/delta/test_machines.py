"""Writers of several machines on one log, where no lock is shared and each request takes a while: all get their turn (law 10)."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import deltalake
import duckdb
import orjson
import pytest

from store import Append, Event, open_store, verify
from store.delta.delta_store import DeltaEventStore
from store.observer import Committed, Measurement
from store.storage.local_objects import LocalObjects
from store.times import now
from tests.store.delta.faults import DistantObjects
from tests.store.delta.victims import assert_dense, rows_by_deltalake, rows_of
from tests.store.facts import facts, table

REQUEST_S = 0.004


class Tries:
    """What the commits of one writer took."""

    def __init__(self) -> None:
        self.seen: list[Committed] = []

    def record(self, measurement: Measurement) -> None:
        if isinstance(measurement, Committed):
            self.seen.append(measurement)


class Machines:
    """Each a writer of its own."""

    def __init__(self, warehouse: Path, count: int) -> None:
        self._events, self._opened = warehouse / "events", ExitStack()
        self.tries = [Tries() for _ in range(count)]
        self.stores = [self._opened.enter_context(self._store(number)) for number in range(count)]

    def _store(self, number: int) -> DeltaEventStore:
        return DeltaEventStore(DistantObjects(LocalObjects(self._events), f"machine-{number}", REQUEST_S), self.tries[number], now)

    def close(self) -> None:
        self._opened.close()

    def commits(self) -> Iterator[tuple[str, str]]:
        """Operation and machine of each, in order."""
        for version in itertools.count(1):
            path = self._events / "_delta_log" / f"{version:020d}.json"
            if not path.exists():
                return
            info = orjson.loads(path.read_bytes().splitlines()[0])["commitInfo"]
            yield info["operation"], info["alluvium"].get("writer", "")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Callable[[int], Machines]]:
    open_store(str(tmp_path), create=True).close()
    with ExitStack() as opened:

        def of(count: int) -> Machines:
            made = Machines(tmp_path, count)
            opened.callback(made.close)
            return made

        yield of


@contextmanager
def busy(stores: list[DeltaEventStore], most: int) -> Iterator[Counter[int]]:
    """Each appends without a pause, to the end or until they made so many appends together; how many each has made."""
    made: Counter[int] = Counter()
    stop = threading.Event()

    def work(number: int) -> None:
        while not stop.is_set() and made.total() < most:
            stores[number].append_many([Append(f"own-{number}-{part}", facts(1)) for part in range(4)])
            made[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(stores))]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def wait_until(reached: Callable[[], bool], made: Counter[int], most: int) -> None:
    while not reached() and made.total() < most:
        threading.Event().wait(REQUEST_S)


@pytest.mark.parametrize("count", [2, 5])
def test_busy_machines_commit_in_turns(machines: Callable[[int], Machines], tmp_path: Path, count: int) -> None:
    """Without turns the first one makes nearly all of the commits."""
    all_of_them = machines(count)
    with busy(all_of_them.stores, 60 * count) as made:
        wait_until(lambda: len(made) == count and min(made.values()) >= 10, made, 60 * count)
    counts = Counter(machine for operation, machine in all_of_them.commits() if operation == "WRITE")
    assert len(counts) == count
    assert max(counts.values()) <= 3 * min(counts.values())
    assert_dense(rows_of(all_of_them.stores[0]))
    assert rows_by_deltalake(tmp_path) == rows_of(all_of_them.stores[0])


def test_machines_that_take_turns_lose_few_races(machines: Callable[[int], Machines]) -> None:
    both = machines(2)
    with busy(both.stores, 200) as made:
        wait_until(lambda: len(made) == 2 and min(made.values()) >= 20, made, 200)
    late = [commit for tries in both.tries for commit in tries.seen[10:]]
    assert sum(commit.attempts for commit in late) <= 1.5 * len(late)


def test_newcomer_gets_its_place_beside_a_busy_machine(machines: Callable[[int], Machines]) -> None:
    both = machines(2)
    with busy(both.stores[:1], 400) as made:
        wait_until(lambda: made[0] >= 10, made, 400)
        before = made[0]
        both.stores[1].append("rare", [Event("Happened", {})])
        assert made[0] - before < 40
    assert both.tries[1].seen[0].attempts < 10


def test_large_append_is_not_starved_by_busy_machines(machines: Callable[[int], Machines], tmp_path: Path) -> None:
    """It takes many times as long as their commits, so it would lose every race."""
    four = machines(4)
    with busy(four.stores[:3], 600) as made:
        wait_until(lambda: made.total() >= 12, made, 600)
        before = made.total()
        answer = four.stores[3].append_table(table(60_000, stream_id=[f"bulk-{number % 100}" for number in range(60_000)]))
        assert made.total() - before < 300
        assert answer.position - answer.first_position == 59_999
    assert_dense(rows_of(four.stores[0]))


def test_claim_is_a_commit_that_changes_nothing_for_any_reader(machines: Callable[[int], Machines], tmp_path: Path) -> None:
    two = machines(2)
    two.stores[0].append("a", facts(3))
    two.stores[1].head()
    passage = two.stores[1]._committer._passage
    passage.tried(1.0, won=False, large=False)
    with busy(two.stores[:1], 200):
        assert passage.claim()
    assert ("CLAIM", "machine-1") in list(two.commits())
    rows = rows_of(two.stores[0])
    assert_dense(rows)
    assert rows_by_deltalake(tmp_path) == rows
    assert deltalake.DeltaTable(str(tmp_path / "events")).version() == len(list(two.commits()))
    assert duckdb.sql(f"select count(*) from read_parquet('{tmp_path}/events/shard=h/*.parquet')").fetchall()[0][0] >= len(rows)
    two.stores[0].compact()
    two.stores[0].checkpoint()
    assert verify(str(tmp_path)).damage == []
    with open_store(str(tmp_path)) as opened:
        assert rows_of(opened) == rows
