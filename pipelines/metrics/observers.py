"""Several observers in the place of one."""

from __future__ import annotations

from typing import Any

from store import Guarded, Recorder


class Observers:
    """Tells each of them, of the store's measurements and of the projections'. One that raises keeps nothing from the others."""

    def __init__(self, *observers: Recorder) -> None:
        self._observers = [Guarded(observer) for observer in observers]

    def record(self, measurement: Any) -> None:
        for observer in self._observers:
            observer.record(measurement)
