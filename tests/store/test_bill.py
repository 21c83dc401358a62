"""What is computed of requests is what is counted between the store and an S3, action by action and over a whole run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Prices, Requests, Usage, open_store, requests_for
from store.bill import CHECKPOINT, CLAIM, COMMIT, LOOK, LOST_RACE, cleaning, expiring, merging, opening
from store.delta import log_cleanup, upkeep, vacuum
from store.delta.delta_store import DeltaEventStore
from tests.store.facts import facts
from tests.store.storage.proxy import Proxy


def counted(proxy: Proxy) -> Requests:
    """Since the last time, of either kind."""
    asked, proxy.asked = proxy.asked, []
    reads = sum(method in ("GET", "HEAD") and "list-type=" not in path for method, path in asked)
    return Requests(len(asked) - reads, reads)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Upkeep comes when the test asks for it."""
    monkeypatch.setattr(upkeep, "LOOK_EVERY", 1_000_000)


@pytest.fixture
def store(proxy: Proxy, s3_warehouse: str, alone: None) -> Iterator[DeltaEventStore]:
    with open_store(s3_warehouse, create=True) as store:
        store.append("a", facts(1))
        counted(proxy)
        yield store


def test_commits(store: DeltaEventStore, proxy: Proxy) -> None:
    for _ in range(5):
        store.append("a", facts(3))
    assert counted(proxy) == COMMIT * 5


def test_look(store: DeltaEventStore, proxy: Proxy) -> None:
    store.head()
    assert counted(proxy) == LOOK


def test_lost_race(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a look afterwards, whether there is more than the winner."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # as on another machine
    with open_store(s3_warehouse) as other:
        other.append("b", facts(1))
    counted(proxy)
    store.append("a", facts(1), 1)
    store.close()
    assert counted(proxy) == LOST_RACE + LOOK + COMMIT


def test_claim(store: DeltaEventStore, proxy: Proxy) -> None:
    passage = store._committer._passage
    writer = passage.writer()
    assert writer is not None
    assert passage._claimed(writer)
    assert counted(proxy) == CLAIM


@pytest.mark.parametrize("files", [2, 70])
def test_merge_of_files_that_the_writer_remembers(store: DeltaEventStore, proxy: Proxy, files: int) -> None:
    for _ in range(files - 1):
        store.append("a", facts(1))
    counted(proxy)
    assert len(store.compact()) == 1
    assert counted(proxy) == merging(files, 0) + LOOK        # asked for, it looks at the log first


def test_merge_of_files_of_others(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str) -> None:
    for _ in range(19):
        store.append("a", facts(1))
    with open_store(s3_warehouse) as other:
        counted(proxy)
        assert len(other.compact()) == 1
    assert counted(proxy) == merging(20, 20) + LOOK


def test_checkpoint(store: DeltaEventStore, proxy: Proxy) -> None:
    store.compact()
    store.checkpoint()
    for number in range(3):
        store.append(f"s-{number}", facts(1))
    store.compact()
    counted(proxy)
    store.checkpoint()
    assert counted(proxy) == CHECKPOINT


def test_clean_up(store: DeltaEventStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    store.checkpoint()
    counted(proxy)
    store.clean_log()
    assert counted(proxy) == cleaning(0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)
    removed = store.clean_log(0).files
    assert removed > 0
    assert counted(proxy) == cleaning(removed)


def test_vacuum_by_a_writer_itself(store: DeltaEventStore, proxy: Proxy) -> None:
    for _ in range(4):
        store.append("a", facts(1))
    store.compact()
    counted(proxy)
    removed = vacuum.expire(store._objects, store._log, time.time_ns() // 1_000_000 + 1).files
    assert removed == 5
    assert counted(proxy) == expiring(removed)


@pytest.mark.parametrize("commits", [0, 1, 2, 3, 40])
def test_opening(store: DeltaEventStore, proxy: Proxy, s3_warehouse: str, commits: int) -> None:
    store.checkpoint()
    for _ in range(commits):
        store.append("a", facts(1))
    counted(proxy)
    open_store(s3_warehouse).close()
    assert counted(proxy) == opening(commits)


def test_a_whole_run_with_its_upkeep(proxy: Proxy, s3_warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits, three merges and two checkpoints: within a tenth of what is computed for so many events, though upkeep keeps its own time."""
    monkeypatch.setattr(upkeep, "CHECKPOINT_EVERY", 100)
    with open_store(s3_warehouse, create=True) as store:
        counted(proxy)
        for _ in range(200):
            store.append("a", facts(10))
    asked = counted(proxy)
    usage = Usage(events_s=100, events_a_commit=10)
    computed = {what: requests * (2_000 / 1_000_000) for what, requests in requests_for(usage).items() if what in ("commits", "merges")}
    expected = sum(computed.values(), CHECKPOINT * 2)
    assert asked.writes == pytest.approx(expected.writes, rel=0.1)
    assert asked.reads == pytest.approx(expected.reads, abs=30)


# A million events -----------------------------------------------------------------------------------------------------


def dollars(usage: Usage) -> float:
    return sum(requests_for(usage).values(), Requests()).dollars()


def test_commits_cost_what_two_writes_cost() -> None:
    assert requests_for(Usage(1_000, 100))["commits"] == Requests(20_000, 0)
    assert (COMMIT * 10_000).dollars() == pytest.approx(0.10)
    assert Requests(1_000, 10_000).dollars(Prices(1e-3, 1e-6)) == pytest.approx(1.01)


def test_larger_groups_cost_less_and_more_machines_and_followers_cost_more() -> None:
    assert dollars(Usage(1_000, 1_000)) < dollars(Usage(1_000, 64)) < dollars(Usage(1_000, 1)) / 10
    assert dollars(Usage(1_000, 64)) < dollars(Usage(1_000, 64, machines=2)) < dollars(Usage(1_000, 64, machines=8))
    assert dollars(Usage(1_000, 64)) < dollars(Usage(1_000, 64, followers=1)) < dollars(Usage(10, 64, followers=1))


def test_upkeep_is_a_small_part_of_it() -> None:
    requests = requests_for(Usage(1_000, 64))
    assert sum(requests.values(), Requests()).dollars() < 1.1 * requests["commits"].dollars()


@pytest.mark.parametrize(
    ("usage", "named"),
    [
        ({"events_s": 0, "events_a_commit": 1}, "events_s is 0"),
        ({"events_s": -1, "events_a_commit": 1}, "events_s is -1"),
        ({"events_s": float("nan"), "events_a_commit": 1}, "events_s is nan"),
        ({"events_s": 1, "events_a_commit": 0.5}, "events_a_commit is 0.5"),
        ({"events_s": 1, "events_a_commit": 1, "machines": 0}, "machines is 0"),
        ({"events_s": 1, "events_a_commit": 1, "followers": -1}, "followers is -1"),
    ],
)
def test_usage_that_makes_no_sense_is_refused(usage: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Usage(**usage)  # type: ignore[arg-type]
