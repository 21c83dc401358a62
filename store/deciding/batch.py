"""Decisions made one after the other on one standing, to be one append: each sees the state that the ones before it leave."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from store.append import Appended
from store.deciding.decision import DECIDING, Decision, Transacted
from store.deciding.ground import Ground, Standing, Written
from store.draft import Draft
from store.expected import ANY
from store.intake import Intake

S = TypeVar("S")

@dataclass(slots=True)
class Batch(Generic[S]):
    """`state`: after all of it. `held`: decisions that must wait for the next batch, as an event of theirs is in this one under the same id."""

    before: Standing[S]
    state: S
    taken: list[Decision[S]] = field(default_factory=list)
    held: list[Decision[S]] = field(default_factory=list)

    def parts(self) -> list[Draft]:
        """One append of all events. It is empty if nothing was decided that has to be written or checked.

        Streams that were read are guarded, even if nothing is written to them: of several, the states were perhaps never
        there together, and then nothing may rest on them, not even a refusal. To other streams the events go in the
        order in which they were decided, so that the log folds to the state that was decided on.
        """
        guarded = {stream_id: Draft(stream_id, version, [], [], None) for stream_id, version in self.before.expected.items()}
        parts = list(guarded.values())
        for part in (part for decision in self.taken for part in decision.drafts):
            whole = guarded.get(part.stream_id)
            if whole is None:
                parts.append(part)
                continue
            whole.event_ids += part.event_ids
            whole.rows += part.rows
            whole.correlation_id = whole.correlation_id or part.correlation_id
        return parts if len(guarded) > 1 or any(part.rows for part in parts) else []

    def answer(self, written: Sequence[Written], attempts: int) -> None:
        """Give each decision its outcome, now that all of them are durable."""
        versions, places, new = dict(self.before.expected), _Places(written), self.is_new(written)
        for decision in self.taken:
            own = {part.stream_id: places.of(part) for part in decision.drafts}
            versions |= {stream_id: place.version for stream_id, place in own.items()}
            state = decision.state if new else self.before.state
            transacted = Transacted(state, own, dict(versions), attempts, decision.correlation_id)
            decision.outcome = transacted if decision.refusal is None else decision.refusal

    def is_new(self, written: Sequence[Written]) -> bool:
        """Were these events no repeat of older ones, which the state that was decided on has in it already?"""
        return all(appended.first_position > self.before.after for _, appended in written)


class _Places:
    """Where the events of each decision are, in the append of all of them."""

    def __init__(self, written: Sequence[Written]) -> None:
        self._left: dict[str, deque[Appended]] = defaultdict(deque)
        for part, appended in written:
            self._left[part.stream_id].append(appended)

    def of(self, part: Draft) -> Appended:
        """To be asked in the order in which they were decided."""
        left, count = self._left[part.stream_id], len(part.rows)
        whole = left.popleft()
        if whole.first_version + count <= whole.version:
            left.appendleft(Appended(whole.first_version + count, whole.version, whole.first_position + count, whole.position))
        return Appended(whole.first_version, whole.first_version + count - 1, whole.first_position, whole.first_position + count - 1)


def decide(ground: Ground[S], before: Standing[S], decisions: Sequence[Decision[S]], intake: Intake) -> Batch[S]:
    """Make these decisions. What one of them raises is its own refusal; the others go on without it."""
    batch, ids = Batch(before, before.state), set[tuple[str, str]]()
    for decision in decisions:
        decision.drafts, decision.refusal = (), None
        try:
            drafts = decision.context.run(_drafted, ground, before, decision.decide, batch.state, intake)
            if not ids.isdisjoint(own := {(part.stream_id, event_id) for part in drafts for event_id in part.event_ids}):
                batch.held.append(decision)        # the same command twice at once: the second decides when the first is a fact
                continue
            batch.state = ground.evolve(batch.state, drafts)
            ids |= own
            decision.drafts = drafts
        except KeyboardInterrupt:                  # it is this thread that is to end, whoever's decision it was at
            raise
        except BaseException as error:             # SystemExit is the caller's who raises it, not of the thread that decides for it
            decision.refusal = error
        decision.state = batch.state
        batch.taken.append(decision)
    return batch


def _drafted(ground: Ground[S], before: Standing[S], decide: Callable[[S], Any], state: S, intake: Intake) -> list[Draft]:
    """What was decided, checked and encoded, in the caller's context."""
    DECIDING.set(True)
    streams = ground.decided(decide(state))
    return [intake.draft(stream_id, events, before.expected.get(stream_id, ANY)) for stream_id, events in streams.items() if events]
