"""Saving states off the append path: what waits is saved together by a thread, soon."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from store.deciding.aggregate import Aggregate
from store.deciding.saved_state import UnsealableError, encode_state
from store.deciding.states import FOREIGN, Known
from store.errors import AccessDeniedError, StorageError, StoreError
from store.observer import Failed, Observer, Snapshotted
from store.privacy.confidant import Confidant
from store.snapshots.snapshot import Snapshot
from store.snapshots.snapshots import Snapshots
from store.times import Clock

SOON_S: Final = 1.0
"""So long a state waits for others at most, so that one commit saves many."""
MANY: Final = 1_000
"""So many do not wait."""
AGAIN_S: Final = 10.0
"""So long storage is left alone that has refused."""
MOST: Final = 10_000
"""So many wait at most, while storage refuses or is slow; further streams go without."""


class Waiting(NamedTuple):
    """A state to be saved."""

    aggregate: Aggregate[Any]
    stream_id: str
    known: Known

    @property
    def key(self) -> tuple[str, str]:
        return self.aggregate.name, self.stream_id


class Snapshotter:
    """States to be saved, the newest of each stream; safe to use from many threads. A snapshot that is lost costs nothing but time."""

    def __init__(
        self,
        snapshots: Callable[[], Snapshots],
        privacy: Callable[[], Confidant],
        observer: Observer,
        clock: Clock,
        forgot_since: Callable[[float], bool] = lambda moment_s: False,
    ) -> None:
        """`forgot_since`: was an event erased since that moment of the monotonic clock? Then states known before it are not to be kept."""
        self._snapshots, self._privacy, self._observer, self._clock, self._forgot_since = snapshots, privacy, observer, clock, forgot_since
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._wake, self._many, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._may_save = True

    def take(self, aggregate: Aggregate[Any], stream_id: str, known: Known) -> None:
        """Save this state soon, unless a newer one of the stream waits already."""
        with self._lock:
            if self._closing.is_set() or not self._may_save:
                return
            self._wait(Waiting(aggregate, stream_id, known))
            self._start()
            if len(self._waiting) >= MANY:
                self._many.set()
        self._wake.set()

    def flush(self) -> int:
        """Save what waits, now; how many that were. What storage refuses waits on, the rest does not: the observer is told why."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
            self._many.clear()
        began_s, encoded = time.monotonic(), list[tuple[Waiting, Snapshot]]()
        try:
            encoded = [(one, state) for one in self._true(waiting) if (state := self._encoded(one)) is not None]
            states = [state for _, state in encoded]
            if not states:
                return 0
            self._forget_foreign([one for one, _ in encoded])
            self._snapshots().save(states)
            self._forget_erased([one for one, _ in encoded])
        except Exception as error:                 # whatever it is, this thread must live on, and nobody else waits for snapshots
            self._observer.record(Failed("snapshots", str(error) if isinstance(error, StoreError) else repr(error)))
            if isinstance(error, AccessDeniedError):
                self._may_save = False             # these credentials never will: states go without, said once
            elif isinstance(error, StorageError):
                self._put_back([one for one, _ in encoded] or waiting)
            return 0
        self._observer.record(Snapshotted(len(states), sum(len(state.state) for state in states), time.monotonic() - began_s))
        return len(states)

    def forget_subject(self, ref: str) -> None:
        """What waits with personal data of this subject is not saved."""
        with self._lock:
            for key in [key for key, one in self._waiting.items() if any(id.ref == ref for id in one.known.keys)]:
                del self._waiting[key]

    def close(self) -> None:
        """Save what waits, then stop."""
        with self._lock:
            self._closing.set()
        self._wake.set()
        self._many.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    # Below ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._many.wait(SOON_S)
            if not self.flush() and self._waiting:
                self._closing.wait(AGAIN_S)
                self._wake.set()

    def _start(self) -> None:
        """The thread, if there is none: not yet, or not in this child of a fork, or no more."""
        if self._thread is not None and self._thread.is_alive():
            return
        thread = threading.Thread(target=self._run, name="alluvium-snapshotter", daemon=True)
        try:
            thread.start()
        except RuntimeError:                       # there is none to be had now, which is no decision's fault: `close` saves, if no later thread
            return
        self._thread = thread

    def _wait(self, one: Waiting) -> None:
        before = self._waiting.get(one.key)
        if len(self._waiting) < MOST if before is None else before.known.version < one.known.version:
            self._waiting[one.key] = one

    def _forget_foreign(self, waiting: Sequence[Waiting]) -> None:
        """They would outlive the new ones, of which the newest versions are kept."""
        foreign: defaultdict[str, list[str]] = defaultdict(list)
        for one in waiting:
            if one.known.saved_at == FOREIGN:
                foreign[one.aggregate.name].append(one.stream_id)
        for aggregate, stream_ids in foreign.items():
            self._snapshots().forget(aggregate, stream_ids)

    def _true(self, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
        """Those of whose events none was erased while they waited: who is killed once they are saved can forget them no more."""
        if not waiting or not self._forgot_since(min(one.known.checked_s for one in waiting)):
            return waiting
        return [one for one in waiting if not self._forgot_since(one.known.checked_s)]

    def _forget_erased(self, saved: Sequence[Waiting]) -> None:
        """Asked afterwards: whoever erases forgets snapshots once it has erased, and these may have been saved after that."""
        if self._forgot_since(min(one.known.checked_s for one in saved)):
            self._snapshots().forget(None, sorted({one.stream_id for one in saved}))

    def _put_back(self, refused: Sequence[Waiting]) -> None:
        with self._lock:
            for one in refused:
                self._wait(one)

    def _encoded(self, one: Waiting) -> Snapshot | None:
        try:
            snapshot = encode_state(one.aggregate, one.stream_id, one.known, self._clock(), self._privacy())
        except UnsealableError:                    # the next load folds what may still be read
            return None
        except Exception as error:                 # JSON cannot hold it, or it is too large: the others are saved all the same
            told = one.known.shown(error)
            problem = f"the state of {one.stream_id!r} cannot be saved ({told:.300}): mend its class, or set no policy"
            self._observer.record(Failed("snapshots", problem))
            return None
        return snapshot
