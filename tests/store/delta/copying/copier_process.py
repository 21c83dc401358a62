"""A copy that kills itself: `python -m tests.store.delta.copying.copier_process SOURCE DESTINATION FRESH NTH`, before its n-th durable step."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from store.delta.copying.backup import copy
from store.storage.local_objects import LocalObjects


class KilledObjects(LocalObjects):
    """Kills the process in place of the n-th put: a file is half there then, as a torn write leaves it, a log file not at all."""

    def __init__(self, root: Any, nth: int) -> None:
        super().__init__(root)
        self._left = nth
        self._one = threading.Lock()

    def put(self, path: str, data: Any) -> None:
        with self._one:                            # in one order, so that every step is met
            self._count(path, data)
            super().put(path, data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        self._count(path, None)
        return super().put_if_absent(path, data)

    def _count(self, path: str, data: Any) -> None:
        self._left -= 1
        if self._left < 0:
            if data is not None:
                super().put(path, memoryview(data)[: len(memoryview(data)) // 2])
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    source, destination, fresh, nth = sys.argv[1:]
    step_bytes = sys.maxsize if fresh == "fresh" else 1
    copy(LocalObjects(source), KilledObjects(destination, int(nth)), None, fresh == "fresh", step_bytes, lambda done, total: None)  # type: ignore[arg-type]
