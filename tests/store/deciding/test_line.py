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

    def work(batch: list[Waiter]) -> None:
        while not sizes and len(queue._waiting) + len(batch) < 6:          # all others come while the first is served
            pass
        sizes.append(len(batch))
        serve(batch)

    at_once(6, lambda number: queue.join(Waiter(number), work))
    assert sizes in ([1, 2, 2, 1], [2, 2, 2])


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


class SignalledError(Exception):
    """What a signal's handler raises."""


class Gate:
    """In place of a lock: whoever waits at it is interrupted."""

    def acquire(self) -> None:
        raise SignalledError

    def release(self) -> None:
        pass


def test_who_is_interrupted_in_line_holds_up_nobody() -> None:
    queue, busy, go = Line[Waiter](), threading.Event(), threading.Event()

    def slow(batch: list[Waiter]) -> None:
        busy.set()
        go.wait(10)
        serve(batch)

    leads = threading.Thread(target=lambda: queue.join(Waiter(0), slow))
    leads.start()
    busy.wait(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "__post_init__", lambda place: setattr(place, "called", Gate()))
        with pytest.raises(SignalledError):
            queue.join(Waiter(1), serve)
    go.set()
    leads.join(10)
    last = Waiter(2)
    queue.join(last, serve)
    assert last.served
    assert (queue._leader, list(queue._waiting)) == (None, [])


def test_who_was_interrupted_while_others_served_it_is_not_waited_for() -> None:
    """It was taken from the line, its server failed, and it has gone."""
    queue = Line[Waiter]()
    gone = Place(Waiter(1), left=True)

    def fail(batch: list[Waiter]) -> None:
        raise KeyError

    queue._waiting.append(gone)
    queue._waiting.append(last := Place(Waiter(2)))
    queue._leader = leader = Place(Waiter(0))
    with pytest.raises(KeyError):
        queue._serve(leader, fail)
    assert list(queue._waiting) == [last]


def test_a_leader_that_is_interrupted_before_it_serves_hands_the_lead_on(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Line[Waiter]()
    queue._waiting.append(other := Place(Waiter(1)))

    def interrupted() -> None:
        raise SignalledError

    monkeypatch.setattr(queue, "_linger", interrupted)
    queue._leader = leader = Place(Waiter(0))
    with pytest.raises(SignalledError):
        queue._serve(leader, serve)
    queue._leave(leader)
    assert queue._leader is other
    assert other.called.acquire(timeout=10)
