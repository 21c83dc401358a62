"""The store's verbs for asyncio: the same store underneath, answered on the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from datetime import datetime
from typing import Any, Final, TypeVar

import pyarrow as pa

from store.append import Append, Appended, TableAppended
from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.boundary import Boundary
from store.deciding.decider import PATIENCE_S
from store.deciding.decision import Transacted
from store.deciding.verbs import load, transact, transact_many, transact_query
from store.draft import Draft
from store.event import Event
from store.expected import ANY, ExpectedVersion
from store.intake import Intake
from store.privacy.sealing import Plan
from store.query import Query
from store.submits import Answer, Submits

TOGETHER: Final = 32
"""So many tasks decide at once, each on a thread, and so many load; the others wait for one."""

S = TypeVar("S")
T = TypeVar("T")


class AsyncEventStore:
    """Use it from one event loop. A cancelled append may still land: retry it with the same events."""

    def __init__(self, store: Submits, intake: Intake) -> None:
        self._store, self._intake = store, intake
        self._answers: deque[tuple[asyncio.Future[list[Appended]], Answer]] = deque()
        self._loads = ThreadPoolExecutor(TOGETHER, "alluvium-load")     # apart: decisions on one hot stream must not hold up all loads
        self._decisions = ThreadPoolExecutor(TOGETHER, "alluvium-transact")
        self._woken: asyncio.AbstractEventLoop | None = None

    async def append(
        self, stream_id: str, events: Sequence[Event], expected_version: ExpectedVersion = ANY, fail_if: Query | None = None, after: int = 0
    ) -> Appended:
        return (await self._submitted(await _carried_out(self._intake.drafted(stream_id, events, expected_version)), fail_if, after))[0]

    async def append_many(self, appends: Sequence[Append], fail_if: Query | None = None, after: int = 0) -> list[Appended]:
        return await self._submitted(await _carried_out(self._intake.drafted_many(appends)), fail_if, after)

    async def load(self, aggregate: Aggregate[S], id: str, *, stale_s: float = 0.0) -> Loaded[S]:
        return await self._on_a_thread(self._loads, lambda: load(self._store, aggregate, id, stale_s=stale_s))

    async def transact(
        self, aggregate: Aggregate[S], id: str, decide: Callable[[S], Any], *, patience_s: float = PATIENCE_S
    ) -> Transacted[S]:
        """`decide` is called on another thread. A cancelled decision may still become a fact."""
        return await self._on_a_thread(self._decisions, lambda: transact(self._store, aggregate, id, decide, patience_s=patience_s))

    async def transact_many(
        self, targets: Sequence[tuple[Aggregate[Any], str]], decide: Callable[..., Any], *, patience_s: float = PATIENCE_S
    ) -> Transacted[tuple[Any, ...]]:
        return await self._on_a_thread(self._decisions, lambda: transact_many(self._store, targets, decide, patience_s=patience_s))

    async def transact_query(
        self, boundary: Boundary[S], query: Query, decide: Callable[[S], Mapping[str, Any] | None], *, patience_s: float = PATIENCE_S
    ) -> Transacted[S]:
        return await self._on_a_thread(self._decisions, lambda: transact_query(self._store, boundary, query, decide, patience_s=patience_s))

    async def append_table(self, events: pa.Table) -> TableAppended:
        return await asyncio.to_thread(self._store.append_table, events)

    async def read_stream(self, stream_id: str, after: int = 0, limit: int | None = None, backward: bool = False) -> pa.Table:
        return await asyncio.to_thread(self._store.read_stream, stream_id, after, limit, backward)

    async def read_all(self, after: int = 0, until: int | None = None, **selection: Any) -> AsyncIterator[pa.RecordBatch]:
        reader = await asyncio.to_thread(self._store.read_all, after, until, **selection)
        while (batch := await asyncio.to_thread(next, reader, None)) is not None:
            yield batch

    async def subscribe(self, after: int = 0, **selection: Any) -> AsyncIterator[pa.RecordBatch]:
        # A thread of its own: one that waits on those which all share would keep it from the others.
        thread = ThreadPoolExecutor(1, "alluvium-subscribe")
        try:
            with self._store.subscribe(after, **selection) as subscription:
                while (batch := await self._on_a_thread(thread, lambda: next(subscription, None))) is not None:
                    yield batch
        finally:
            thread.shutdown(wait=False)

    async def head(self) -> int:
        return await asyncio.to_thread(self._store.head)

    async def position_at(self, time: datetime) -> int:
        return await asyncio.to_thread(self._store.position_at, time)

    async def stream_version(self, stream_id: str) -> int:
        return await asyncio.to_thread(self._store.stream_version, stream_id)

    def close(self) -> None:
        """Let the threads go; the store calls it."""
        self._loads.shutdown(wait=False)
        self._decisions.shutdown(wait=False)

    async def _on_a_thread(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        """In the caller's context, so that correlation ids go along. StoreClosedError: before it is given to a thread."""
        _ = self._store.deciding                   # it is there while the store is open
        return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)

    async def _submitted(self, parts: Sequence[Draft], fail_if: Query | None, after: int) -> list[Appended]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Appended]] = loop.create_future()

        def answered(answer: Answer) -> None:
            # One wake-up of the loop serves all answers of a commit: a wake-up each would cost more than the append.
            self._answers.append((future, answer))
            if self._woken is not loop:            # one that has ended was perhaps never able to deliver
                self._woken = loop
                with suppress(RuntimeError):       # the loop is closed: nobody waits any more
                    loop.call_soon_threadsafe(self._deliver)

        if fail_if is None and after == 0:
            self._store.submit(parts, answered)
        else:
            await asyncio.to_thread(self._store.submit, parts, answered, fail_if, after)
        return await future

    def _deliver(self) -> None:
        self._woken = None                         # before the queue is emptied: a later answer then wakes the loop again
        while self._answers:
            future, answer = self._answers.popleft()
            if future.done():                      # cancelled
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)


async def _carried_out(plan: Plan) -> Sequence[Draft]:
    """New keys are a commit of their own, which the loop does not wait for."""
    return await asyncio.to_thread(plan.carried_out) if plan.waits else plan.carried_out()
