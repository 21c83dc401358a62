"""What a network does to one client of an object store: told, or by seeded chance, so that a failure can be repeated."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from tests.store.storage.proxy import Fault, Relay, late_unavailable, lost_reply, lost_request, passed, unavailable


def delayed(seconds: float) -> Fault:
    """It happens, and is answered, so much later."""

    def delay(relay: Relay) -> None:
        time.sleep(seconds)
        passed(relay)

    return delay


def late(seconds: float) -> Fault:
    """The client hears nothing; the request lies somewhere on the way, and is carried out when nobody waits for it any more."""

    def arrive(relay: Relay) -> None:
        relay.close_connection = True
        time.sleep(seconds)
        relay.upstream()

    return arrive


def twice(relay: Relay) -> None:
    """It is carried out two times, as by a middleman who got no reply; the second reply is given."""
    relay.upstream()
    passed(relay)


class Weather:
    """A fault that is another one for each request, or the same for all of them as long as the client is cut off.

    `late_s`: how much later than sent a request may be carried out; more than the client's time-out, so that it has given up by then.
    """

    def __init__(self, seed: str, late_s: float) -> None:
        self._luck, self._lock, self._late_s = random.Random(seed), threading.Lock(), late_s
        self._under_way, self._idle = 0, threading.Condition()
        self._mute = threading.Event()
        self._mute.set()
        self.bad = 0.0
        """The part of requests that meet a fault."""
        self.refused = False
        self.met: dict[str, int] = {}

    def __call__(self, relay: Relay) -> None:
        with self._idle:
            self._under_way += 1
        try:
            with suppress(OSError):                # the client has gone
                self._fault()(relay)
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def cut(self, silently: bool) -> None:
        """From now on nothing passes: connections break, or nothing is ever said."""
        self.refused = not silently
        if silently:
            self._mute.clear()

    def mend(self) -> None:
        """No longer cut off. What was asked in silence is not carried out."""
        self.refused = False
        self._mute.set()

    def settle(self) -> None:
        """Return when nothing is on its way any more."""
        with self._idle:
            self._idle.wait_for(lambda: not self._under_way)

    def _fault(self) -> Fault:
        if not self._mute.is_set():
            return self._silence
        if self.refused:
            return lost_request
        with self._lock:
            if self._luck.random() >= self.bad:
                return passed
            name = self._luck.choices(list(CHANCES), list(CHANCES.values()))[0]
            self.met[name] = self.met.get(name, 0) + 1
            return self._of(name)

    def _of(self, name: str) -> Fault:
        match name:
            case "delayed":
                return delayed(self._luck.uniform(0.0, 0.3))
            case "late":
                return late(self._luck.uniform(0.0, self._late_s))
        return FAULTS[name]

    def _silence(self, relay: Relay) -> None:
        relay.close_connection = True
        self._mute.wait()


FAULTS: Final[Mapping[str, Fault]] = {
    "lost_request": lost_request, "lost_reply": lost_reply, "late_unavailable": late_unavailable, "unavailable": unavailable, "twice": twice,
}  # fmt: skip
CHANCES: Final[Mapping[str, float]] = {
    "lost_request": 2, "lost_reply": 4, "late_unavailable": 2, "unavailable": 2, "twice": 4, "delayed": 6, "late": 2,
}  # fmt: skip
"""Of the faults, against each other."""
