"""Following the log: what is there, then what comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

POLL_S: Final = 0.005
"""How long a commit of another process may stay unseen; this process's own commits wake the follower at once."""


SPAN: Final = 1 << 20
"""So many positions at most are read in one go: a reader that none of them concerns can be closed after each, and its checkpoint moves."""


class Bell:
    """Rung at every commit of this process; followers wait on it. `rings`: how often so far."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._watched = False
        self._head = 0
        self.rings = 0

    def ring(self) -> None:
        with self._condition:
            self.rings += 1
            self._condition.notify_all()

    def wait(self, heard: int, head: int, poll_s: float, look: Callable[[], int]) -> None:
        """Until it has rung more often than was heard, or the log is past this head.

        Other processes ring no bell: of all who wait one looks for them, every `poll_s`, so that a thousand followers ask no more than one.
        """
        def woken() -> bool:
            return self.rings > heard or self._head > head

        self._tell(head)
        with self._condition:
            self._condition.wait_for(lambda: woken() or not self._watched)
            if woken():
                return
            self._watched = True
        try:
            while not self._waited(woken, poll_s):
                self._tell(look())
        finally:
            with self._condition:                  # another one looks, if any waits on
                self._watched = False
                self._condition.notify_all()

    def _waited(self, woken: Callable[[], bool], timeout_s: float) -> bool:
        with self._condition:
            return self._condition.wait_for(woken, timeout_s)

    def _tell(self, head: int) -> None:
        """Who looks first may see what others, who wait already, have not seen."""
        with self._condition:
            if head > self._head:
                self._head = head
                self._condition.notify_all()


class LogSubscription:
    """Reads past its checkpoint whenever the head has moved. Holds one read's batches at most: the consumer sets the pace."""

    def __init__(
        self, head: Callable[[], int], read: Callable[[int, int], pa.RecordBatchReader], bell: Bell, after: int, poll_s: float = POLL_S
    ) -> None:
        self._head, self._read, self._bell, self._poll_s = head, read, bell, poll_s
        self._checkpoint = self._given = self._until = after
        self._reader: pa.RecordBatchReader | None = None
        self._closed = False

    @property
    def checkpoint(self) -> int:
        return self._checkpoint

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        self._checkpoint = self._given             # who comes back is done with what it was given
        while not self._closed:
            batch = self._next_batch()
            if batch is not None:
                self._given = batch["position"][-1].as_py()
                return batch
            rings = self._bell.rings               # heard before the looks, so that nothing falls between look and wait
            if self._closed:
                break
            head = self._head()
            if head > self._checkpoint:
                self._until = min(head, (self._checkpoint // SPAN + 1) * SPAN)
                self._reader = self._read(self._checkpoint, self._until)
            else:
                self._bell.wait(rings, head, self._poll_s, self._head)
        raise StopIteration

    def _next_batch(self) -> pa.RecordBatch | None:
        reader, self._reader = self._reader, None  # one that fails is of no more use: what it has not given is read again
        if reader is None:
            return None
        for batch in reader:
            if self._closed:
                return None
            if batch.num_rows:
                self._reader = reader
                return batch
        self._checkpoint = self._given = self._until
        return None

    def close(self) -> None:
        self._closed = True
        self._bell.ring()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
