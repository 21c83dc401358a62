"""What retention costs: appends beside streams of which something is said, saying it, reading what is left, removing and archiving."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa

from store import Append, Event, open_store
from store.delta.delta_store import DeltaEventStore
from store.reserved import append_own
from store.retention.policy import RETENTION
from tests.bench.run import Run, ms, seconds

SAID: Final = {"by": "bench", "why": "measured"}
STREAM_EVENTS: Final = 10


def section(run: Run) -> None:
    held = run.sizes.cold
    run.table("one client, one event at a time", "nothing is said of any stream", f"of {held:,} others", "ratio")
    plain, ruled = run.medians(lambda place: _rate(place, run.sizes.seconds, 0), lambda place: _rate(place, run.sizes.seconds, held))
    run.row("events/s", f"{plain:,.0f}", f"{ruled:,.0f}", f"{ruled / plain:.2f}")
    events = 2 * run.sizes.small_events            # of which more than a sealed run's can be archived
    run.table(f"a log of {events:,} events, {STREAM_EVENTS} a stream", "ms", "events/s")
    with _filled(run.folder(), events) as store:
        streams = events // STREAM_EVENTS
        _row(run, "delete a stream", lambda: store.retention.delete("s-1", **SAID))
        _row(run, "keep 5 of each stream", lambda: store.retention.keep("s", max_count=5, **SAID))
        _row(run, "read a stream that hides half of it, cold", lambda: store.read_stream("s-2"))
        _row(run, "which versions every stream hides", store.retention.hidden, streams)
        _row(run, "remove what is hidden", lambda: store.retention.remove(**SAID), events // 2)
        _row(run, "remove again: look, and find nothing", lambda: store.retention.remove(**SAID), events)
        _close(store, streams // 10)
        store.compact()
        _row(run, "archive a tenth of the streams", store.retention.archive, events)


def _row(run: Run, what: str, work: Callable[[], object], events: int = 0) -> None:
    took = seconds(work)
    run.row(what, ms(took), f"{events / took:,.0f}" if events else "–")


def _rate(place: Path, seconds: float, held: int) -> float:
    with open_store(place / "ours", create=True) as store:
        _end(store, "Deleted", held, "gone")
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            store.append(f"s-{count % 100}", [Event("Happened", {"number": count})])
            count += 1
    return count / seconds


def _filled(place: Path, events: int) -> DeltaEventStore:
    store = open_store(place / "ours", create=True)
    assert isinstance(store, DeltaEventStore)
    ids = [f"s-{number // STREAM_EVENTS}" for number in range(events)]
    store.append_table(pa.table({"stream_id": ids, "type": ["Happened"] * events, "data": ['{"from":"EWR","to":"BOS","seats":12}'] * events}))
    return store


def _close(store: DeltaEventStore, streams: int) -> None:
    _end(store, "Closed", streams, "s")


def _end(store: object, how: str, streams: int, category: str) -> None:
    said = [Event(how, {"stream_id": f"{category}-{number}", "version": STREAM_EVENTS, **SAID}) for number in range(streams)]
    for first in range(0, streams, 10_000):
        append_own(store, [Append(RETENTION, said[first : first + 10_000])])  # type: ignore[arg-type]
