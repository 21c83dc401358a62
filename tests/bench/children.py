"""Work in processes of its own: fresh interpreters, so that memory and caches are theirs and no lock is shared."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Generator, Sequence
from multiprocessing.connection import Connection
from typing import Any, Final, Generic, TypeVar

SPAWN: Final = multiprocessing.get_context("spawn")           # a store does not survive a fork

T = TypeVar("T")
Work = Callable[..., Generator[None, None, T]]
"""Prepares, yields once, then does what is measured and returns the result."""


class Child(Generic[T]):
    """One process: prepared when `ready` returns, at work from `go` on."""

    def __init__(self, work: Work[T], *arguments: Any) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(theirs, work, arguments), daemon=True)
        self._process.start()
        theirs.close()                             # else its death would not end our side of the pipe

    def ready(self) -> None:
        self._receive()

    def go(self) -> None:
        self._pipe.send(None)

    def result(self) -> T:
        answer: T = self._receive()
        self._process.join()
        return answer

    def _receive(self) -> Any:
        try:
            answer, trouble = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a measured process ended with code {self._process.exitcode}") from None
        if trouble is not None:
            raise RuntimeError(f"a measured process failed:\n{trouble}")
        return answer


def together(work: Work[T], arguments: Sequence[tuple[Any, ...]]) -> list[T]:
    """The results of the same work in several processes that begin at once."""
    children = [Child(work, *each) for each in arguments]
    for child in children:
        child.ready()
    for child in children:
        child.go()
    return [child.result() for child in children]


def alone(work: Work[T], *arguments: Any) -> T:
    """The result of work in one fresh process."""
    return together(work, [arguments])[0]


def _serve(pipe: Connection, work: Work[Any], arguments: tuple[Any, ...]) -> None:
    try:
        steps = work(*arguments)
        next(steps)
        pipe.send((None, None))
        pipe.recv()
        try:
            next(steps)
            raise AssertionError(f"{work} yields more than once")
        except StopIteration as end:
            pipe.send((end.value, None))
    except BaseException:
        pipe.send((None, traceback.format_exc()))
