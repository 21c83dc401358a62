"""An answer that another thread gives."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """Called once with the answer, by whoever has it; an exception is an answer as well."""

    def __init__(self) -> None:
        self._given = threading.Lock()             # a bare lock is the cheapest signal between two threads
        self._given.acquire()
        self._answer: T | BaseException

    def __call__(self, answer: T | BaseException) -> None:
        self._answer = answer
        self._given.release()

    def wait(self) -> T:
        """The answer; it raises one that is an exception. To be called once."""
        self._given.acquire()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer
