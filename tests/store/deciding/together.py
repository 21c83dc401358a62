"""Decisions that are served in one batch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context
from typing import Any

from store import Event, EventStore


def append_elsewhere(store: EventStore, stream_id: str, events: Sequence[Event]) -> None:
    """In the midst of a decision, as another thread or process would."""
    Context().run(store.append, stream_id, events)


def together(
    store: EventStore, ground: Hashable, transact: Callable[[Callable[..., Any]], Any], decisions: Sequence[Callable[..., Any]]
) -> list[Future[Any]]:
    """They queue up in this order while another one decides, on nothing; then all of them are done. `ground`: the key of their line."""
    entered, go_on = threading.Event(), threading.Event()

    def first(*states: object) -> None:
        entered.set()
        go_on.wait(10)

    with ThreadPoolExecutor(len(decisions) + 1) as pool:
        pool.submit(transact, first)
        entered.wait(10)
        line = store.deciding.decider._lines._lines[ground]
        futures = []
        for number, decide in enumerate(decisions, 1):
            futures.append(pool.submit(transact, decide))
            while len(line._waiting) < number:
                pass
        go_on.set()
    return futures
