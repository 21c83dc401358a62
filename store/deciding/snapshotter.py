"""Saving states off the append path: what waits is saved together by a thread, soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from store.deciding.aggregate import Aggregate
from store.deciding.saved_state import encode_state
from store.deciding.states import Known
from store.errors import StoreError
from store.observer import Failed, Observer, Snapshotted
from store.snapshots.snapshot import Snapshot
from store.snapshots.snapshots import Snapshots
from store.times import Clock

SOON_S: Final = 1.0
"""So long a state waits for others at most, so that one commit saves many."""
MANY: Final = 1_000
"""So many do not wait."""


class Snapshotter:
    """States to be saved, the newest of each stream; safe to use from many threads. A snapshot that is lost costs nothing but time."""

    def __init__(self, snapshots: Callable[[], Snapshots], observer: Observer, clock: Clock) -> None:
        self._snapshots, self._observer, self._clock = snapshots, observer, clock
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], tuple[Aggregate[Any], str, Known]] = {}
        self._wake = threading.Event()
        self._many = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False

    def take(self, aggregate: Aggregate[Any], stream_id: str, known: Known) -> None:
        """Save this state soon, unless a newer one of the stream waits already."""
        with self._lock:
            key = aggregate.name, stream_id
            if self._closed or ((before := self._waiting.get(key)) is not None and before[2].version >= known.version):
                return
            self._waiting[key] = aggregate, stream_id, known
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alluvium-snapshotter", daemon=True)
                self._thread.start()
            if len(self._waiting) >= MANY:
                self._many.set()
        self._wake.set()

    def flush(self) -> int:
        """Save what waits, now; how many that were."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            self._many.clear()
        if not waiting:
            return 0
        began_s, states = time.monotonic(), [self._encoded(*entry) for entry in waiting]
        saved = [state for state in states if state is not None]
        try:
            self._snapshots().save(saved)
        except StoreError as error:
            self._observer.record(Failed("snapshots", str(error)))
            return 0
        self._observer.record(Snapshotted(len(saved), sum(len(snapshot.state) for snapshot in saved), time.monotonic() - began_s))
        return len(saved)

    def close(self) -> None:
        """Save what waits, then stop."""
        with self._lock:
            self._closed = True
        self._wake.set()
        self._many.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait()
            self._wake.clear()
            self._many.wait(SOON_S)
            self.flush()

    def _encoded(self, aggregate: Aggregate[Any], stream_id: str, known: Known) -> Snapshot | None:
        try:
            return encode_state(aggregate, stream_id, known, self._clock())
        except Exception as error:                 # a state that JSON cannot hold: the others are saved all the same
            self._observer.record(Failed("snapshots", f"the state of {stream_id!r} cannot be saved ({error!r}): mend its class, or set no policy"))
            return None
