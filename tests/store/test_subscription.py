"""`subscribe`: what is there, then what comes, each once and in order."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event as Signal
from threading import Thread

import pytest

from store import EventStore, Subscription
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
