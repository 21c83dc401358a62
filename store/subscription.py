"""Following the log: what is there, then what comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import pyarrow as pa

POLL_S: Final = 0.005
"""How long a commit of another process may stay unseen; this process's own commits wake the follower at once."""


class Bell:
    """Rung at every commit of this process; followers wait on it. `rings`: how often so far."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.rings = 0

    def ring(self) -> None:
        with self._condition:
            self.rings += 1
            self._condition.notify_all()

    def wait(self, heard: int, timeout_s: float) -> None:
        """Until it has rung more often than was heard."""
        with self._condition:
            self._condition.wait_for(lambda: self.rings > heard, timeout_s)


class LogSubscription:
    """Reads past its checkpoint whenever the head has moved. Holds one read's batches at most: the consumer sets the pace."""

    def __init__(
        self, head: Callable[[], int], read: Callable[[int, int], pa.RecordBatchReader], bell: Bell, after: int, poll_s: float = POLL_S
    ) -> None:
        self._head, self._read, self._bell, self._poll_s = head, read, bell, poll_s
        self._checkpoint = after
        self._reader: pa.RecordBatchReader | None = None
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> pa.RecordBatch:
        while not self._closed:
            batch = self._next_batch()
            if batch is not None:
                return batch
            rings = self._bell.rings               # heard before the look, so that no commit falls between look and wait
            head = self._head()
            if head > self._checkpoint:
                self._reader = self._read(self._checkpoint, head)
                self._checkpoint = head
            else:
                self._bell.wait(rings, self._poll_s)
        raise StopIteration

    def _next_batch(self) -> pa.RecordBatch | None:
        if self._reader is None:
            return None
        for batch in self._reader:
            if batch.num_rows:
                return batch
        self._reader = None
        return None

    def close(self) -> None:
        self._closed = True
        self._bell.ring()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
