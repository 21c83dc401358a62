"""Storage that fails as told: a wrapper around the real thing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from typing import Any

from store.errors import OutcomeUnknownError
from store.storage.objects import Objects

Fault = Callable[[Objects, str, bytes], bool]
"""Takes the place of one put of a log file."""


class FaultyObjects:
    """Passes everything on, but answers the next puts of log files by the given faults, one each."""

    def __init__(self, real: Objects) -> None:
        self._real = real
        self.faults: list[Fault] = []
        self.deleted: list[str] = []
        self.puts: list[str] = []

    def put_if_absent(self, path: str, data: bytes) -> bool:
        self.puts.append(path)
        fault = self.faults.pop(0) if self.faults else None
        return fault(self._real, path, data) if fault else self._real.put_if_absent(path, data)

    def get_run(self, paths: Sequence[str]) -> Iterator[bytes]:
        """By `get`, which tests put in the way of."""
        return takewhile(lambda body: body is not None, map(self.get, paths))

    def delete(self, paths: list[str]) -> None:
        self.deleted += paths
        self._real.delete(paths)

    def turn(self) -> AbstractContextManager[bool]:
        """No turn is waited for, so that another writer of the same test can overtake."""
        return nullcontext(True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class DistantObjects:
    """A table as a machine of that name sees it from afar: each request takes so long, and no turns are shared."""

    def __init__(self, real: Objects, machine: str, request_s: float) -> None:
        self._real, self.machine, self._request_s = real, machine, request_s

    def put(self, path: str, data: bytes) -> None:
        time.sleep(self._request_s)
        self._real.put(path, data)

    def put_if_absent(self, path: str, data: bytes) -> bool:
        time.sleep(self._request_s)
        return self._real.put_if_absent(path, data)

    def get(self, path: str) -> bytes | None:
        time.sleep(self._request_s)
        return self._real.get(path)

    def get_run(self, paths: Sequence[str]) -> Sequence[bytes]:
        time.sleep(self._request_s)
        return list(self._real.get_run(paths))

    def turn(self) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def lost_reply(real: Objects, path: str, data: bytes) -> bool:
    """The put lands, the answer does not."""
    real.put_if_absent(path, data)
    raise OutcomeUnknownError("the connection broke")


def lost_request(real: Objects, path: str, data: bytes) -> bool:
    """The put never arrives, and nobody says so."""
    raise OutcomeUnknownError("the connection broke")


def repeated_by_the_client(real: Objects, path: str, data: bytes) -> bool:
    """The put lands, its answer is lost, and the HTTP client's own retry finds the object there."""
    real.put_if_absent(path, data)
    return real.put_if_absent(path, data)


def overtaken(other: Callable[[], object]) -> Fault:
    """Another writer commits just before."""

    def put(real: Objects, path: str, data: bytes) -> bool:
        other()
        return real.put_if_absent(path, data)

    return put
