"""From just before an append to the handler of a live subscription."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Final

import orjson

from store import Event, EventStore, Subscription, open_store
from tests.bench.children import Child
from tests.bench.run import Run, ms, percentile

PER_SECOND: Final = 200
"""As the peers' harness appends."""
GIVE_UP_S: Final = 30.0


def section(run: Run) -> None:
    sent = max(20, int(run.sizes.seconds * run.sizes.repeats * PER_SECOND))
    run.table(f"append to live handler, {sent:,} events at {PER_SECOND}/s", "p50 ms", "p99 ms", "at most")
    for where, measure in (("same process", same_process), ("other process", other_process)):
        lags = measure(str(run.folder() / "ours"), sent)
        run.row(where, ms(percentile(lags, 0.5)), ms(percentile(lags, 0.99)), ms(max(lags)))


def same_process(place: str, count: int) -> list[float]:
    """Seconds each, in the order sent."""
    lags: list[float] = []
    with open_store(place, create=True) as store, store.subscribe() as subscription:
        follower = threading.Thread(target=lambda: lags.extend(_follow(subscription, count, lambda: None)), daemon=True)
        follower.start()
        _send(store, count)
        follower.join(GIVE_UP_S)
    return _whole(lags, count)


def other_process(place: str, count: int) -> list[float]:
    with open_store(place, create=True) as store:
        follower = Child(followed, place, count)
        follower.ready()
        follower.go()
        _send(store, count)
        return _whole(follower.result(), count)


def followed(place: str, count: int) -> Generator[None, None, list[float]]:
    with open_store(place) as store, store.subscribe() as subscription:
        yield
        overdue = threading.Timer(GIVE_UP_S + count / PER_SECOND, subscription.close)
        overdue.start()
        lags = _follow(subscription, count, overdue.cancel)
        return lags


def _follow(subscription: Subscription, count: int, done: Callable[[], None]) -> list[float]:
    lags: list[float] = []
    for batch in subscription:
        now = time.monotonic()                     # one clock for all processes of a machine
        lags += [now - orjson.loads(text)["sent"] for text in batch.column("data").to_pylist()]
        if len(lags) >= count:
            break
    done()
    return lags


def _send(store: EventStore, count: int) -> None:
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        store.append("order-live", [Event("ItemAdded", {"sent": time.monotonic()})], number)


def _whole(lags: list[float], count: int) -> list[float]:
    if len(lags) != count:
        raise AssertionError(f"{count} events were sent, {len(lags)} came")
    return lags
