"""What a group of appends comes to against one state of the log: who is answered what, and what is to be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa

from store.append import TableAppended
from store.bulk import Bulk
from store.delta.heads import Heads
from store.delta.log import Log
from store.delta.pending import Pending
from store.delta.placing import place_rows, place_table
from store.delta.policies import Policies
from store.delta.request import Answer, Request
from store.delta.trail import RecentTrail
from store.errors import ClockSkewError, StorageError, StoreError
from store.times import Clock, moment
from store.verdict import Find, judge, judge_bulk

SKEW_US: Final = 3_600_000_000
"""The log's clock may be this far ahead of ours."""


@dataclass(slots=True)
class Plan:
    """A group decided against one state of the log: the answers, and what must be durable before they are given."""

    target: int
    head: int
    recorded_at: int
    answers: list[Answer]
    final: bool
    """Do all answers say that something was written? Others may only be given if the state was the newest."""
    pending: Pending
    events: pa.Table | None = None
    heads: dict[str, int] = field(default_factory=dict)
    written_bytes: int = 0


class Planner:
    """Decides groups in the order in which they came, by what the log says and by what those before in the group are to write."""

    def __init__(self, log: Log, heads: Heads, trail: RecentTrail, policies: Policies, find: Find, clock: Clock) -> None:
        self._log, self._heads, self._trail, self._policies, self._find, self._clock = log, heads, trail, policies, find, clock

    def plan(self, group: Sequence[Request]) -> Plan:
        with self._log.lock:
            log, policy = self._log, self._policies.newest()         # first: the log may be known further afterwards
            pending = Pending(self._heads, log.head, self._trail, policy)
            plan = Plan(log.version + 1, log.head, self._time(log.recorded_at), [], True, pending)
            if isinstance(table := group[0].parts, Bulk):
                self._plan_table(plan, table)
            else:
                for request in group:
                    self._plan_drafts(plan, request)
                if pending.rows:
                    plan.heads = pending.versions
                    plan.events = place_rows(pending.rows, pending.row_versions, plan.head, plan.recorded_at)
            return plan

    def _plan_drafts(self, plan: Plan, request: Request) -> None:
        parts = request.parts
        assert not isinstance(parts, Bulk)
        try:
            answer: Answer | None = judge(plan.pending, parts, request.condition)
        except StoreError as error:
            error.correlation_id = request.correlation_id
            answer = error
        except Exception as error:                 # what one request asks of the log is not the fault of those beside it
            answer = StorageError(f"the append could not be judged by what the log holds ({error!r}): try again")
            answer.correlation_id, answer.__cause__ = request.correlation_id, error
        if answer is None:
            head = plan.pending.head
            answer = [plan.pending.add(part) for part in parts]
            plan.final &= plan.pending.head > head
        else:
            plan.final = False
        plan.answers.append(answer)

    def _plan_table(self, plan: Plan, table: Bulk) -> None:
        try:
            answer: Answer | None = judge_bulk(self._find, table, plan.pending.terms)
        except StoreError as error:
            answer = error
        if answer is None:
            rows = len(table.table)
            answer = TableAppended(plan.head + 1, plan.head + rows)
            if rows:
                plan.events, plan.heads = place_table(table, self._heads.versions, plan.head, plan.recorded_at)
        plan.final = plan.events is not None
        plan.answers.append(answer)

    def _time(self, newest: int) -> int:
        """The time of the next commit: never before the last one."""
        now = self._clock()
        if newest > now + SKEW_US:
            raise ClockSkewError(f"the log's newest time is {moment(newest)}, this machine's clock says {moment(now)}: set the clocks right")
        return max(now, newest)
