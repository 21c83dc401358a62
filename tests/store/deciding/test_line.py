from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from store.deciding import line
from store.deciding.line import Line, Lines, Place
from tests.store.facts import at_once


@dataclass
class Waiter:
    number: int
    served: bool = False


def serve(batch: list[Waiter]) -> None:
    for waiter in batch:
        waiter.served = True


def test_everybody_is_served_once() -> None:
    queue, batches = Line[Waiter](), list[list[int]]()

    def work(number: int) -> None:
        waiter = Waiter(number)
        queue.join(waiter, lambda batch: (batches.append([one.number for one in batch]), serve(batch))[1])
        assert waiter.served

    at_once(16, work)
    assert sorted(number for batch in batches for number in batch) == list(range(16))


def test_a_long_line_is_served_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "BATCH", 2)
    queue, sizes = Line[Waiter](), list[int]()
    queue._waiting.extend(Place(Waiter(number)) for number in range(5))
    queue.join(Waiter(5), lambda batch: (sizes.append(len(batch)), serve(batch))[1])
    assert sizes == [2, 2, 2]


def test_an_error_ends_the_wait_of_one_thread_only() -> None:
    """The one whose turn it was; the others serve themselves."""
    queue, began = Line[Waiter](), threading.Event()

    def fail(batch: list[Waiter]) -> None:
        began.set()
        while not queue._waiting:
            pass
        raise KeyError

    def first() -> None:
        with pytest.raises(KeyError):
            queue.join(Waiter(0), fail)

    thread = threading.Thread(target=first)
    thread.start()
    began.wait(10)
    other = Waiter(1)
    queue.join(other, serve)
    thread.join()
    assert other.served
    assert not queue._waiting


def test_a_line_in_which_nobody_stands_is_let_go() -> None:
    lines = Lines[Waiter]()
    with lines.at("a") as one, lines.at("a") as same, lines.at("b") as other:
        assert one is same is not other
    assert not lines._lines
