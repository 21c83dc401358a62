"""Files of races that were lost: they go while the next one is under way."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from store.errors import AccessDeniedError, StoreError
from store.observer import Failed, Observer
from store.storage.objects import Objects


class Removals:
    """One thread. Files that stay a vacuum will find; all of them, where we may not remove any."""

    def __init__(self, objects: Objects, observer: Observer) -> None:
        self._objects, self._observer = objects, observer
        self._thread = ThreadPoolExecutor(1, "alluvium-removals")
        self._may_remove = True

    def add(self, paths: Sequence[str]) -> None:
        self._thread.submit(self._remove, paths)

    def close(self) -> None:
        """Remove what waits, then stop."""
        self._thread.shutdown()

    def _remove(self, paths: Sequence[str]) -> None:
        if not self._may_remove:
            return
        try:
            self._objects.delete(paths)
        except AccessDeniedError as error:
            self._may_remove = False
            self._observer.record(Failed("removal", f"{error}; files of lost races are left to the vacuum of who has it, from now on"))
        except StoreError as error:
            self._observer.record(Failed("removal", str(error)))
