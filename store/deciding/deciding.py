"""What a store keeps for deciding: known states, decisions that wait, states to be saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from store.append import Appended
from store.deciding.decider import Decider
from store.deciding.loader import Loader
from store.deciding.snapshotter import Snapshotter
from store.deciding.states import CACHED_BYTES, CacheUse, States
from store.draft import Draft
from store.intake import Intake
from store.observer import Observer
from store.query import Query
from store.reply import Reply
from store.submits import Submits
from store.times import Clock


class Deciding:
    """One for each store: `loader` and `decider` do what `load` and `transact` say, `snapshotter` saves states in the background."""

    def __init__(self, store: Submits, observer: Observer, clock: Clock, intake: Intake, cached_bytes: int = CACHED_BYTES) -> None:
        self._store = store
        self._forgets: list[Callable[[], None]] = []
        self._states: Final = States(cached_bytes)
        self.snapshotter: Final = Snapshotter(lambda: store.snapshots, lambda: store.privacy, observer, clock, self.forgot_since)
        self.loader: Final = Loader(store, self._states, self.snapshotter, observer)
        self.decider: Final = Decider(self._append, self._find, observer, intake)

    def cache_use(self) -> CacheUse:
        """How many loads found their state remembered, and what the remembered ones take."""
        return self._states.use()

    def forget(self) -> None:
        """What was folded from events: some of them may say something else now."""
        self._states.forget()
        for forget in list(self._forgets):
            forget()

    def when_erased(self, forget: Callable[[], None]) -> None:
        """Let whoever else remembers what events say be told, too. On any thread, under a lock of the store's: it must ask nothing of the store."""
        self._forgets.append(forget)

    def no_more(self, forget: Callable[[], None]) -> None:
        self._forgets.remove(forget)

    def forgot_since(self, moment_s: float) -> bool:
        """Was an event erased, at that moment of the monotonic clock or later? The log is asked."""
        self._store.head()
        return self._states.forgot_since(moment_s)

    def forget_subject(self, ref: str) -> None:
        """Drop what is remembered of a subject's personal data."""
        self._states.forget_subject(ref)
        self.snapshotter.forget_subject(ref)

    def close(self) -> None:
        """Save the states that wait."""
        self.snapshotter.close()

    def _find(self, parts: Sequence[Draft], after: int) -> Sequence[Appended]:
        wanted = pa.array([event_id for part in parts for event_id in part.event_ids])
        places: dict[tuple[str, str], tuple[int, int]] = {}
        for batch in self._store.read_all(after):
            there = batch.filter(pc.is_in(batch["event_id"], wanted))
            columns = (there[name].to_pylist() for name in ("stream_id", "event_id", "version", "position"))
            places |= {(stream_id, event_id): place for stream_id, event_id, *place in zip(*columns, strict=True)}
        if any((part.stream_id, event_id) not in places for part in parts for event_id in part.event_ids):
            return []                              # an id is a stream's own: elsewhere it is another event's
        ends = [(places[part.stream_id, part.event_ids[0]], places[part.stream_id, part.event_ids[-1]]) for part in parts]
        return [Appended(first[0], last[0], first[1], last[1]) for first, last in ends]

    def _append(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> Sequence[Appended]:
        reply: Reply[list[Appended]] = Reply()
        self._store.submit(parts, reply, fail_if, after)
        return reply.wait()
