"""Group commit: one thread takes all appends that wait, decides them in arrival order, and makes them one commit."""

from __future__ import annotations

import queue
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from store.bulk import Bulk
from store.delta.commits import LISTED_STREAMS, Commit, appending
from store.delta.heads import Heads
from store.delta.log import Log, Outcome, log_path
from store.delta.passage import Passage
from store.delta.pending import Pending
from store.delta.plan import Plan, Planner
from store.delta.policies import Policies
from store.delta.reader import read_all
from store.delta.removals import Removals
from store.delta.request import Answer, Request
from store.delta.rota import Rota
from store.delta.segment import write_segments
from store.delta.segment_files import SegmentFiles
from store.delta.trail import RecentTrail
from store.errors import LogSealedError, StoreClosedError, StoreError
from store.observer import Committed, Observer, Refused
from store.selection import Selection
from store.storage.objects import Objects
from store.times import Clock
from store.verdict import Find

GROUP_EVENTS: Final = 20_000
"""A group takes no more appends once it holds this many events."""
LINGER_S: Final = 0.0002
BEHIND_S: Final = 0.005
"""A group waits so long for more while upkeep is behind."""


class Committer:
    """Owns the write side of one log. `submit` from any thread; the answer comes on the committer's thread.

    `committed`: told of each commit and its events; it says whether upkeep is behind.
    """

    def __init__(
        self,
        objects: Objects,
        log: Log,
        files: SegmentFiles,
        heads: Heads,
        find: Find,
        observer: Observer,
        clock: Clock,
        committed: Callable[[int], bool],
        trail: RecentTrail,
        policies: Policies,
        rota: Rota,
    ) -> None:
        self._objects, self._log, self._files, self._heads, self._trail, self._policies = objects, log, files, heads, trail, policies
        self._observer, self._committed, self._rota = observer, committed, rota
        self._planner = Planner(log, heads, trail, policies, find, clock)
        self._passage = Passage(log, rota, clock)
        self._removals = Removals(objects, observer)
        self._waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._held: Request | None = None
        self._door = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answered = 0
        self._behind = False
        self._broken: BaseException | None = None
        self._closed = False

    def submit(self, request: Request) -> None:
        """Put an append in line. StoreClosedError: it was not taken."""
        with self._door:                           # so that nothing gets in line behind the end
            if self._closed:
                raise StoreClosedError("this store is closed: open it again")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alluvium-committer", daemon=True)
                self._thread.start()
            self._waiting.put(request)

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._door:
            self._closed = True
            if self._thread is None:
                return
            self._waiting.put(None)
        self._thread.join()
        self._removals.close()

    # The thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while (first := self._next()) is not None:
            group = self._gather(first)
            try:
                answers = self._commit(group)
            except BaseException as error:         # whatever happened, nobody waits for ever
                failure = self._failure(error)
                answers = [failure.told(request.correlation_id, request.stream_id) for request in group]
            self._answer(group, answers)

    def _next(self) -> Request | None:
        held, self._held = self._held, None
        return held or self._waiting.get()

    def _gather(self, first: Request) -> list[Request]:
        """All that wait now; a table makes a group of its own."""
        if self._behind:                           # fewer, larger landing files, until upkeep has caught up
            time.sleep(BEHIND_S)
        self._linger()
        group = [first]
        self._grow(group)
        return group

    def _grow(self, group: list[Request]) -> None:
        """Take in those who have come meanwhile, up to the next table."""
        if self._held is not None or isinstance(group[0].parts, Bulk):
            return
        events = sum(request.events for request in group)
        while events < GROUP_EVENTS:
            try:
                request = self._waiting.get_nowait()
            except queue.Empty:
                return
            if request is None or isinstance(request.parts, Bulk):
                self._held = request
                if request is None:
                    self._waiting.put(None)        # the end is for `_next`
                return
            group.append(request)
            events += request.events

    def _linger(self) -> None:
        """Clients that were answered together come back together: wait for them while they are coming.

        A commit begun with the first of them would fight the rest for the interpreter lock and make two half groups.
        """
        there = self._waiting.qsize()
        while there + 1 < self._answered:
            time.sleep(LINGER_S)
            before, there = there, self._waiting.qsize()
            if there == before:
                return

    def _commit(self, group: list[Request]) -> list[Answer]:
        """Decide and publish until it is ours or nothing is left to write. Returns the answers, all of them durable."""
        if self._broken is not None:
            raise self._broken
        lost, large = 0, isinstance(group[0].parts, Bulk)
        for attempt in range(1, 1_000_000):
            with self._objects.turn() as look_first:
                looked = self._passage.wait()
                if self._passage.is_blocked(lost, large):
                    looked |= self._passage.claim()
                self._grow(group)
                plan = self._decide(group, newest=not looked and (look_first or attempt > 1))
                if self._log.sealed:
                    raise LogSealedError(self._objects.uri, self._log.sealed)
                began_s = time.monotonic()
                if plan.events is None or self._publish(plan):
                    if plan.events is not None:
                        self._passage.tried(time.monotonic() - began_s, won=True, large=large)
                        self._measure(group, plan, attempt)
                    elif not all(isinstance(answer, BaseException) for answer in plan.answers):
                        # A repeat is an acknowledgement too, and who put its commit may not have come to make its name durable.
                        self._objects.sync(log_path(plan.target - 1))
                    return plan.answers
            lost += self._passage.tried(time.monotonic() - began_s, won=False, large=large)
            if not self._objects.machine:
                time.sleep(random.uniform(0, min(0.2, 0.001 * 2**attempt)))
        raise AssertionError("unreachable")

    def _decide(self, group: list[Request], newest: bool) -> Plan:
        """A plan whose refusals and repeats, if any, rest on the newest state of the log."""
        if newest:
            self._passage.look()
        plan = self._planner.plan(group)
        if not plan.final and not newest:
            self._log.refresh()
            plan = self._planner.plan(group)
        return plan

    def _publish(self, plan: Plan) -> bool:
        """Make the plan durable as commit `target`. False: another writer was first, nothing of ours is in the log."""
        assert plan.events is not None
        segments = write_segments(self._objects, plan.events)
        plan.written_bytes = sum(segment.size_bytes for segment in segments)
        commit_id = str(uuid.uuid4())
        head = plan.head + len(plan.events)
        writer = self._passage.writer()
        body = appending(commit_id, plan.recorded_at, head, segments, plan.heads, writer)
        outcome = self._log.publish(plan.target, body, commit_id)
        if outcome is Outcome.SLEPT:
            return self._was_in_time(plan, commit_id)
        if outcome is not Outcome.OURS:
            if outcome is Outcome.THEIRS:          # no put of ours is under way any more that could name these files
                self._removals.add([segment.path for segment in segments])
            return False
        listed = frozenset(plan.heads) if len(plan.heads) <= LISTED_STREAMS else None
        added = [replace(segment, streams=listed) for segment in segments]
        if len(added) == 1:
            self._files.keep(added[0], plan.events)
        self._take(Commit(plan.target, commit_id, plan.recorded_at, head, added, (), plan.heads, appends=True, writer=writer), plan.pending)
        return True

    def _was_in_time(self, plan: Plan, commit_id: str) -> bool:
        """After a sleep through a clean-up of the log: is our commit part of it?

        The put alone does not tell. It may have landed in time, and was summed up in the checkpoint since: then our
        event is at our position. Or its name had become free again: then nobody will ever read it, so it goes.
        """
        assert plan.events is not None
        self._log.wake(plan.target)
        place = Selection(after=plan.head, until=plan.head + 1)
        there = list(read_all(self._files, self._log.segments(), place, limit=1, backward=False))
        if there and there[0]["event_id"][0] == plan.events["event_id"][0]:
            return True
        self._log.withdraw(plan.target, commit_id)
        return False

    def _take(self, commit: Commit, pending: Pending) -> None:
        with self._log.lock:
            if self._log.apply(commit, ours=True):
                self._rota.applied(commit)
                self._heads.committed(commit, pending.recent.stretches)
                self._trail.committed(commit.head - len(pending.rows), pending.rows)
                if pending.said:
                    self._policies.committed(pending.policy, pending.said, commit.head)

    def _measure(self, group: list[Request], plan: Plan, attempts: int) -> None:
        assert plan.events is not None
        self._observer.record(
            Committed(
                plan.target, len(group), len(plan.events), plan.written_bytes, attempts, time.monotonic() - group[0].arrived_s,
                tuple(set[str]().union(*(request.correlation_ids() for request in group))),
            )
        )
        self._behind = self._committed(len(plan.events))

    def _answer(self, group: list[Request], answers: list[Answer]) -> None:
        self._answered = len(group)
        for request, answer in zip(group, answers, strict=True):
            if isinstance(answer, StoreError) and not isinstance(request.parts, Bulk):
                self._observer.record(Refused(type(answer).__name__, request.stream_id or "", request.correlation_id))
            request.answered(answer)

    def _failure(self, error: BaseException) -> StoreError:
        if isinstance(error, StoreError):
            return error
        self._broken = StoreClosedError(f"the committer failed ({error!r}): open the store again")
        self._broken.__cause__ = error
        return self._broken
