"""From just before an append to the handler of a live subscription, and to that of a live read model."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import Any, Final

import msgspec
import orjson
import pyarrow as pa

from projections import Handlers, Live, MemoryModel, Place, Projection, wait_for
from store import Event, EventStore, EventType, EventTypes, Subscription, open_store
from tests.bench.children import Child
from tests.bench.run import Run, ms, percentile

PER_SECOND: Final = 200
"""As the peers' harness appends."""


class ItemAdded(msgspec.Struct, frozen=True):
    sent: float
    last: bool


def section(run: Run) -> None:
    seconds = run.sizes.seconds * run.sizes.repeats
    run.table(f"append to live handler, {PER_SECOND}/s", "events", "p50 ms", "p99 ms", "at most")
    for where, measure in (("same process", same_process), ("live read model", read_model), ("other process", other_process)):
        lags = measure(str(run.folder() / "ours"), seconds)
        run.row(where, f"{len(lags):,}", ms(percentile(lags, 0.5)), ms(percentile(lags, 0.99)), ms(max(lags)))


def same_process(place: str, seconds: float) -> list[float]:
    """Seconds of each event, in the order sent."""
    lags: list[float] = []
    with open_store(place, create=True) as store, store.subscribe() as subscription:
        follower = threading.Thread(target=lambda: lags.extend(_follow(subscription)), daemon=True)
        follower.start()
        count = _send(store, seconds)
        follower.join()
    return _whole(lags, count)


def read_model(place: str, seconds: float) -> list[float]:
    """In the same process, one row a stream; its commits in memory included, but for that of the event itself."""
    lags: list[float] = []

    def handle(row: dict[str, Any] | None, event: ItemAdded, place: Place) -> dict[str, Any]:
        lags.append(time.monotonic() - event.sent)
        return {"stream_id": place.stream_id, "items": place.version}

    projection = Projection(
        name="items", version=1, key=("stream_id",), columns=pa.schema({"stream_id": pa.string(), "items": pa.int64()}),
        event_types=EventTypes(EventType("ItemAdded", ItemAdded)),
        form=Handlers(on={ItemAdded: handle}, key=lambda event, place: place.stream_id),
    )  # fmt: skip
    with open_store(place, create=True) as store, Live(store, MemoryModel(projection)) as live:
        count = _send(store, seconds)
        wait_for(live, count)
    return _whole(lags, count)


def other_process(place: str, seconds: float) -> list[float]:
    with open_store(place, create=True) as store:
        follower = Child(followed, place)
        follower.ready()
        follower.go()
        count = _send(store, seconds)
        return _whole(follower.result(), count)


def followed(place: str) -> Generator[None, None, list[float]]:
    with open_store(place) as store, store.subscribe() as subscription:
        yield
        return _follow(subscription)


def _follow(subscription: Subscription) -> list[float]:
    """Until the event that says it is the last."""
    lags: list[float] = []
    for batch in subscription:
        now = time.monotonic()                     # one clock for all processes of a machine
        events = [orjson.loads(text) for text in batch.column("data").to_pylist()]
        lags += [now - event["sent"] for event in events]
        if events[-1]["last"]:
            break
    return lags


def _send(store: EventStore, seconds: float) -> int:
    """One event at a time, PER_SECOND or as fast as they become durable; how many."""
    began, number, last = time.monotonic(), 0, False
    while not last:
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        sent = time.monotonic()
        last = sent > began + seconds
        store.append("order-live", [Event("ItemAdded", {"sent": sent, "last": last})], number)
        number += 1
    return number


def _whole(lags: list[float], count: int) -> list[float]:
    if len(lags) != count:
        raise AssertionError(f"{count} events were sent, {len(lags)} came")
    return lags
