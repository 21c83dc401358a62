"""Decisions made one after the other on one standing, to be one append: each sees the state that the ones before it leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from store.append import Appended
from store.contract import Contract
from store.deciding.decision import Decision, Transacted
from store.deciding.ground import Ground, Standing, Written
from store.draft import Draft, draft
from store.expected import ANY

S = TypeVar("S")

DECIDING: Final[ContextVar[bool]] = ContextVar("alluvium_deciding")
"""Set in the context of a decision: who decides there again would wait for itself, or for one that waits for it."""


@dataclass(slots=True)
class Batch(Generic[S]):
    """`state`: after all of it. `held`: decisions that must wait for the next batch, as an event of theirs is in this one under the same id."""

    before: Standing[S]
    state: S
    taken: list[Decision[S]] = field(default_factory=list)
    held: list[Decision[S]] = field(default_factory=list)

    def parts(self) -> list[Draft]:
        """One append of all events; streams that were read and are not written are only checked. Empty if nothing was decided."""
        merged = {stream_id: Draft(stream_id, version, [], [], None) for stream_id, version in self.before.expected.items()}
        for part in self._drafts():
            whole = merged.setdefault(part.stream_id, Draft(part.stream_id, ANY, [], [], None))
            whole.event_ids += part.event_ids
            whole.rows += part.rows
            whole.correlation_id = whole.correlation_id or part.correlation_id
        return list(merged.values()) if any(part.rows for part in merged.values()) else []

    def answer(self, written: Sequence[Written], attempts: int) -> None:
        """Give each decision its outcome, now that all of them are durable."""
        versions, done = dict(self.before.expected), dict.fromkeys((part.stream_id for part, _ in written), 0)
        appended = {part.stream_id: answer for part, answer in written}
        for decision in self.taken:
            own = {}
            for part in decision.drafts:
                whole, before, count = appended[part.stream_id], done[part.stream_id], len(part.rows)
                first_version, first_position = whole.first_version + before, whole.first_position + before
                own[part.stream_id] = Appended(first_version, first_version + count - 1, first_position, first_position + count - 1)
                versions[part.stream_id] = first_version + count - 1
                done[part.stream_id] += count
            transacted = Transacted(decision.state, own, dict(versions), attempts, decision.correlation_id)
            decision.outcome = decision.refusal or transacted

    def _drafts(self) -> Iterator[Draft]:
        return (part for decision in self.taken for part in decision.drafts)


def decide(ground: Ground[S], before: Standing[S], decisions: Sequence[Decision[S]], contract: Contract | None) -> Batch[S]:
    """Make these decisions. What one of them raises is its own refusal; the others go on without it."""
    batch, ids = Batch(before, before.state), set[tuple[str, str]]()
    for decision in decisions:
        decision.drafts, decision.refusal = (), None
        try:
            drafts = decision.context.run(_drafted, ground, before, decision.decide, batch.state, contract)
            if not ids.isdisjoint(own := {(part.stream_id, event_id) for part in drafts for event_id in part.event_ids}):
                batch.held.append(decision)        # the same command twice at once: the second decides when the first is a fact
                continue
            batch.state = ground.evolve(batch.state, drafts)
            ids |= own
            decision.drafts = drafts
        except Exception as error:
            decision.refusal = error
        decision.state = batch.state
        batch.taken.append(decision)
    return batch


def _drafted(ground: Ground[S], before: Standing[S], decide: Callable[[S], Any], state: S, contract: Contract | None) -> list[Draft]:
    """What was decided, checked and encoded, in the caller's context."""
    DECIDING.set(True)
    streams = ground.decided(decide(state))
    return [draft(stream_id, events, before.expected.get(stream_id, ANY), contract) for stream_id, events in streams.items() if events]
