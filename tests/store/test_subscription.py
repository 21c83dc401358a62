"""`subscribe`: what is there, then what comes, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event as Signal
from threading import Thread

import pyarrow as pa
import pytest

from store import EventStore, StorageError, StoreClosedError, Subscription, open_store
from store.subscription import SPAN, Bell, LogSubscription
from tests.store.facts import at_once, fact, facts, table


def take(subscription: Subscription, count: int) -> list[int]:
    """The positions of the next events, `count` of them or a few more."""
    positions: list[int] = []
    while len(positions) < count:
        positions += next(subscription)["position"].to_pylist()
    return positions


@pytest.fixture
def subscription(store: EventStore) -> Iterator[Subscription]:
    with store.subscribe() as subscription:
        yield subscription


def test_subscription_catches_up_with_what_is_there(store: EventStore, subscription: Subscription) -> None:
    store.append("a", facts(3))
    assert take(subscription, 3) == [1, 2, 3]


def test_subscription_begins_after_a_position(store: EventStore) -> None:
    store.append("a", facts(5))
    with store.subscribe(after=3) as subscription:
        assert take(subscription, 2) == [4, 5]


def test_subscription_past_the_head_waits_for_what_comes_after(store: EventStore) -> None:
    with store.subscribe(after=2) as subscription:
        store.append("a", facts(3))
        assert take(subscription, 1) == [3]


def test_subscription_follows_what_comes(store: EventStore, subscription: Subscription) -> None:
    for position in range(1, 10):
        store.append("a", facts(1))
        assert take(subscription, 1) == [position]


def test_subscription_wakes_a_waiting_follower(store: EventStore, subscription: Subscription) -> None:
    seen: list[int] = []
    follower = Thread(target=lambda: seen.extend(take(subscription, 3)))
    follower.start()
    for _ in range(3):
        store.append("a", facts(1))
    follower.join()
    assert seen == [1, 2, 3]


def test_subscription_gives_each_event_once_and_in_order_while_many_append(store: EventStore) -> None:
    seen: dict[int, list[int]] = {}

    def work(number: int) -> None:
        if number < 3:
            with store.subscribe() as subscription:
                seen[number] = take(subscription, 300)
        else:
            for _ in range(20):
                store.append(f"s-{number}", facts(3))

    at_once(8, work)
    assert list(seen.values()) == [list(range(1, 301))] * 3


def test_subscription_gives_a_large_append_in_order(store: EventStore, subscription: Subscription) -> None:
    store.append_table(table(150_000))
    assert take(subscription, 150_000) == list(range(1, 150_001))


def test_subscription_selects_as_read_all_does(store: EventStore) -> None:
    with store.subscribe(types=["Happened"], categories=["a"], tags=["x"]) as subscription:
        for stream_id in ("a-1", "b-1", "ab-1"):
            store.append(stream_id, [fact(tags=["x", "y"]), fact(tags=["y"])])
        store.append("a-2", [fact(tags=["x"])])
        assert take(subscription, 2) == [1, 7]


def test_subscription_passes_over_batches_without_its_events(store: EventStore) -> None:
    with store.subscribe(categories=["b"]) as subscription:
        store.append_table(table(150_000))
        store.append("b", facts(1))
        assert next(subscription).num_rows == 1


def test_close_from_another_thread_ends_a_waiting_subscription(store: EventStore, subscription: Subscription) -> None:
    store.append("a", facts(1))
    waiting, seen = Signal(), []

    def follow() -> None:
        for batch in subscription:
            seen.append(batch.num_rows)
            waiting.set()

    follower = Thread(target=follow)
    follower.start()
    waiting.wait()
    subscription.close()
    follower.join()
    assert seen == [1]


def test_closed_subscription_gives_nothing_more(store: EventStore, subscription: Subscription) -> None:
    store.append("a", facts(1))
    subscription.close()
    subscription.close()
    assert list(subscription) == []


def test_closed_subscription_leaves_others_alone(store: EventStore, subscription: Subscription) -> None:
    store.subscribe().close()
    store.append("a", facts(1))
    assert take(subscription, 1) == [1]


def test_close_from_another_thread_ends_a_subscription_whenever_it_comes(store: EventStore) -> None:
    """Also just before the follower begins to wait."""
    store.append("a", facts(1))
    for _ in range(200):
        subscription = store.subscribe(after=1)
        follower = Thread(target=lambda: list(subscription))  # noqa: B023 - joined before the next one
        follower.start()
        subscription.close()
        follower.join(10)
        assert not follower.is_alive()


def test_closed_store_ends_the_waiting_subscriptions_with_an_error(store: EventStore) -> None:
    ended: list[BaseException] = []

    def follow(_: int) -> None:
        try:
            list(store.subscribe())
        except StoreClosedError as error:
            ended.append(error)

    followers = [Thread(target=follow, args=(number,)) for number in range(3)]
    for follower in followers:
        follower.start()
    store.close()
    for follower in followers:
        follower.join(10)
    assert len(ended) == 3


def test_many_followers_see_what_another_process_appends(tmp_path: Path) -> None:
    """No bell rings for it: the one who looks tells the others."""
    with open_store(str(tmp_path), create=True) as ours, open_store(str(tmp_path)) as theirs:
        seen: list[list[int]] = []

        def follow() -> None:
            with ours.subscribe() as subscription:
                seen.append(take(subscription, 20))

        followers = [Thread(target=follow) for _ in range(20)]
        for follower in followers:
            follower.start()
        for _ in range(20):
            theirs.append("a", facts(1))
        for follower in followers:
            follower.join(30)
        assert seen == [list(range(1, 21))] * 20


def test_of_many_who_wait_one_looks_for_all() -> None:
    bell, looks, looking, release = Bell(), list[int](), Signal(), Signal()

    def look() -> int:
        looks.append(1)
        looking.set()
        release.wait()
        return 1

    followers = [Thread(target=bell.wait, args=(0, 0, 0.001, look)) for _ in range(10)]
    for follower in followers:
        follower.start()
    looking.wait()
    release.set()
    for follower in followers:
        follower.join(10)
        assert not follower.is_alive()
    assert len(looks) == 1


def test_who_waits_is_told_by_who_looks_for_itself() -> None:
    bell = Bell()
    follower = Thread(target=bell.wait, args=(0, 5, 60, lambda: 6))
    follower.start()
    Thread(target=bell.wait, args=(0, 6, 60, lambda: 6), daemon=True).start()
    follower.join(10)
    assert not follower.is_alive()
    bell.ring()


def test_when_the_one_who_looks_fails_another_looks() -> None:
    bell, failing = Bell(), iter([True])

    def look() -> int:
        if next(failing, False):
            raise StorageError("storage refuses")
        return 1

    def wait() -> None:
        with suppress(StorageError):
            bell.wait(0, 0, 0.001, look)

    followers = [Thread(target=wait) for _ in range(3)]
    for follower in followers:
        follower.start()
    for follower in followers:
        follower.join(10)
        assert not follower.is_alive()


def test_checkpoint_is_what_the_taker_is_done_with(store: EventStore) -> None:
    store.append("a", facts(3))
    with store.subscribe(after=1) as subscription:
        assert subscription.checkpoint == 1
        assert next(subscription)["position"].to_pylist() == [2, 3]
        assert subscription.checkpoint == 1
        store.append("a", facts(1))
        assert next(subscription)["position"].to_pylist() == [4]
        assert subscription.checkpoint == 3


def test_checkpoint_passes_over_what_is_not_wanted(store: EventStore) -> None:
    with store.subscribe(categories=["b"]) as subscription:
        follower = Thread(target=lambda: list(subscription))
        follower.start()
        store.append("a", facts(5))
        while subscription.checkpoint < 5:
            pass
        subscription.close()
        follower.join(10)


def test_after_an_error_nothing_is_left_out() -> None:
    """In the middle of a read, after one of its batches was given."""
    batches = [pa.RecordBatch.from_pydict({"position": [n]}) for n in (1, 2, 3)]
    failing = iter([True])

    def read(after: int, until: int) -> pa.RecordBatchReader:
        def given() -> Iterator[pa.RecordBatch]:
            for batch in batches[after:until]:
                if batch["position"][0].as_py() == 2 and next(failing, False):
                    raise StorageError("storage refuses")
                yield batch

        return pa.RecordBatchReader.from_batches(batches[0].schema, given())

    subscription = LogSubscription(lambda: 3, read, Bell(), 0)
    assert take(subscription, 1) == [1]
    with pytest.raises(StorageError):
        next(subscription)
    assert take(subscription, 2) == [2, 3]


def test_a_long_read_is_cut_so_that_it_can_be_closed_and_its_checkpoint_moves() -> None:
    asked: list[tuple[int, int]] = []
    nothing = pa.schema({"position": pa.int64()})

    def read(after: int, until: int) -> pa.RecordBatchReader:
        asked.append((after, until))
        if len(asked) == 3:
            subscription.close()
        return pa.RecordBatchReader.from_batches(nothing, [])

    subscription = LogSubscription(lambda: 10 * SPAN, read, Bell(), 5)
    assert list(subscription) == []
    assert asked == [(5, SPAN), (SPAN, 2 * SPAN), (2 * SPAN, 3 * SPAN)]
