"""A circuit breaker: storage, or another outside target, that keeps failing is left alone for a while; callers hear so at once, and do not wait.

Own code because the libraries do not fit many threads: pybreaker holds a lock for as long as the call lasts, so that reads would
queue, and counts by the wall clock; circuitbreaker and purgatory have no lock, so that all who wait rush in as the one trial.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from store.errors import StorageUnavailableError
from store.observer import Circuit, Observer
from store.times import moment, now

FAILURES: Final = 5
"""Calls in a row, each with all its retries, that must fail: about 5 s of 503s. A blip that retries bridge never counts."""
OPEN_S: Final = 5.0
"""How long nothing is sent then. It is also the longest that a caller waits needlessly once storage is back."""

Unavailable = Callable[[str, int, datetime, str, float], Exception]
"""(place, failures in a row, since when, the last reason, seconds to the next try) -> the error."""


class Breaker:
    """Closed: calls pass, failures in a row are counted. Open: calls are refused; each OPEN_S one passes as a trial.

    Any success closes it, also that of a call that began before it opened: storage answers.
    """

    def __init__(
        self,
        place: str,
        observer: Observer,
        failure: Callable[[Exception], str | None],
        clock_s: Callable[[], float] = time.monotonic,
        unavailable: Unavailable = StorageUnavailableError,
    ) -> None:
        """`failure`: why a call's error means that there was no answer; None if the error is one. `unavailable`: the error while it is open."""
        self._place, self._observer, self._failure, self._clock_s, self._unavailable = place, observer, failure, clock_s, unavailable
        self._lock = threading.Lock()
        self._failures = 0
        self._since = moment(0)
        self._why = ""
        self._next_s = 0.0                         # counts only while open
        self._trying = False

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call. What `unavailable` makes, a StorageUnavailableError if nothing else was given: it was not made."""
        trial = self._enter()
        try:
            yield
        except Exception as error:
            if (why := self._failure(error)) is None:
                self._answered()
            else:
                self._failed(why, trial)
            raise
        else:
            self._answered()
        finally:
            if trial:
                self._trying = False

    def _enter(self) -> bool:
        """Is this call the trial?"""
        with self._lock:
            if self._failures < FAILURES:
                return False
            wait_s = self._next_s - self._clock_s()
            if self._trying or wait_s > 0:
                raise self._unavailable(self._place, self._failures, self._since, self._why, max(wait_s, 0.1))
            self._trying = True
            self._tell("half-open")
            return True

    def _answered(self) -> None:
        with self._lock:
            was_open, self._failures = self._failures >= FAILURES, 0
            if was_open:
                self._tell("closed")

    def _failed(self, why: str, trial: bool) -> None:
        with self._lock:
            if not self._failures:
                self._since = moment(now())
            self._failures += 1
            self._why = why
            # A call that began before it opened says nothing new; nor does a trial, once such a call has closed it.
            if self._failures == FAILURES or (trial and self._failures > FAILURES):
                self._next_s = self._clock_s() + OPEN_S
                self._tell("open")

    def _tell(self, state: str) -> None:
        self._observer.record(Circuit(self._place, state, self._failures, self._why))
