"""A read model in memory that follows the log by itself, batch by batch as they come."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

from projections.errors import ApplyError
from projections.forms.form import Fold
from projections.models.hold import Hold
from projections.models.memory_model import MemoryModel
from projections.models.model import Turn
from projections.observer import LOGGED
from projections.projection import Projection
from projections.running.batches import stored_types
from projections.running.failing import Halt
from projections.running.runner import fill
from store import AccessDeniedError, EventStore, StorageError, Subscription

_SHORTEST_WAIT_S: Final = 0.05
_LONGEST_WAIT_S: Final = 5.0


class Live:
    """Keeps a model in memory at the head of the log from now on, on a thread of its own; also a context manager. See `Readable`.

    It begins where the model is: `MemoryModel(projection)` at the first event, `MemoryModel.of(model)` where a durable one is. Every batch of the
    subscription is one commit, at once. Where storage refuses it asks again, after growing waits. Any other error ends it, and is
    raised to whoever asks from then on. After `close` its rows stay as they were. When events are erased it begins anew, at the first event, and
    shows its old rows until it has caught up.
    """

    def __init__(self, store: EventStore, model: MemoryModel) -> None:
        self.projection: Projection = model.projection
        self._store, self._model, self._erased = store, model, threading.Event()
        # Events that it does not read are not fetched, and the subscription's checkpoint passes over them.
        self._subscription = self._subscribed(model.checkpoint())
        store.deciding.when_erased(self._hear)
        self._closed = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"alluvium-live-{self.projection.name}", daemon=True)
        self._thread.start()

    @property
    def uri(self) -> str:
        return self._model.uri

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        return self._sound().rows(*columns, limit=limit)

    def checkpoint(self) -> int:
        return max(self._sound().checkpoint(), self._subscription.checkpoint)

    def row_count(self) -> int:
        return self._sound().row_count()

    def hold(self) -> Hold | None:
        return self._model.hold()

    def look(self) -> Turn:
        return self._sound().look()

    def close(self) -> None:
        """Finish the batch under way, and end. Closing twice is harmless."""
        if not self._closed.is_set():
            self._store.deciding.no_more(self._hear)
        self._closed.set()
        self._subscription.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _sound(self) -> MemoryModel:
        if self._error is not None:
            raise self._error
        return self._model

    def _work(self) -> None:
        try:
            with self.projection.form.open(self.projection) as fold:
                self._follow(fold)
                while self._erased.is_set() and not self._closed.is_set():
                    self._begin_anew()
                    self._follow(fold)
        except BaseException as error:             # the thread's end: whoever asks is told
            self._error = error
            self._subscription.close()

    def _subscribed(self, after: int) -> Subscription:
        return self._store.subscribe(after, types=stored_types(self.projection), categories=self.projection.categories)

    def _hear(self) -> None:
        """Events say less than they did when they were applied."""
        self._erased.set()
        self._subscription.close()

    def _begin_anew(self) -> None:
        self._erased.clear()
        model = MemoryModel(self.projection)
        self._subscription = self._subscribed(fill(self._store, model).checkpoint)
        self._model = model

    def _follow(self, fold: Fold) -> None:
        turn = self._model.turn()
        step = Halt().begin(self._model, turn, fold, LOGGED)
        for batch in self._batches():
            events, reached = pa.Table.from_batches([batch]), batch["position"][-1].as_py()
            try:
                changes = step.apply(events, reached)
            except ApplyError as error:
                turn.halt(str(error))
                raise
            turn.commit(changes.rows, reached, changes.deleted)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        failures = 0
        while not self._closed.is_set():
            try:
                batch = next(self._subscription, None)
                failures = 0
            except AccessDeniedError:              # it will be refused the next time, too
                raise
            except StorageError:                   # the subscription goes on where it was
                failures += 1
                self._closed.wait(random.uniform(0, min(_LONGEST_WAIT_S, _SHORTEST_WAIT_S * 2**failures)))
                continue
            if batch is None:
                return
            yield batch
