"""Checking a log against its links, and against heads that were published of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from store.audit.attesting import Progress
from store.audit.block import Block, blocks
from store.audit.chain import Chain, Told
from store.audit.erasures import Erasures
from store.audit.head import PublishedHead
from store.audit.ledger import Ledger
from store.deeds import RESTORED, deeds
from store.event_store import EventStore
from store.finding import RESTORE, Finding


@dataclass(frozen=True, slots=True)
class ErasedSince:
    """Positions whose payloads were changed by erasures since they were attested. `since`: when they were attested anew; None: not yet.

    What the payloads of the other events there were before that is not proved any more.
    """

    first: int
    last: int
    erasures: tuple[str, ...]
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a check of one log shows. `position`: up to there it is attested, by `links` links; `events` of it were looked at, up to `checked_until`.

    Without `findings` all of these events are what they were when they were attested: the same ones in the same order, and their payloads, too,
    but for `changes`.
    """

    log: str
    position: int
    links: int
    checked_until: int
    events: int
    changes: Sequence[ErasedSince]
    findings: Sequence[Finding]
    seconds: float

    @property
    def sound(self) -> bool:
        return not any(finding.damage for finding in self.findings)


class Checking:
    """One log's, under way."""

    def __init__(self, store: EventStore, ledger: Ledger, chain: Chain, progress: Progress) -> None:
        self._store, self._ledger, self._chain, self._progress = store, ledger, chain, progress
        self._wrong: list[tuple[int, int, str]] = []
        self._changes: list[ErasedSince] = []
        self._findings: list[Finding] = list(chain.findings)

    def run(self, heads: Sequence[PublishedHead], after: int, until: int | None) -> Proof:
        """Blocks that end at `after` or before, or begin behind `until`, are left out."""
        began_s = time.monotonic()
        for head in heads:
            self._check_head(head)
        told = [one for one in self._chain.told() if one.block.last > after and (until is None or one.block.first <= until)]
        self._check_events(told)
        findings = [*self._findings, *_merged(self._wrong)]
        events = sum(one.block.last - one.block.first + 1 for one in told)
        return Proof(
            log=self._ledger.log,
            position=self._chain.until,
            links=len(self._chain.links),
            checked_until=told[-1].block.last if told else after,
            events=events,
            changes=_neighbours(self._changes),
            findings=findings,
            seconds=time.monotonic() - began_s,
        )

    # Heads ----------------------------------------------------------------------------------------------------

    def _check_head(self, head: PublishedHead) -> None:
        where = f"head {head.link[:16]}… of position {head.position:,}"
        link = self._chain.get(head.link)
        if link is None or link.until != head.position:
            problem = "no link of the log has its digest: the log was put back to an earlier state, or another was put in its place"
            self._findings.append(Finding(problem, where, RESTORE))
        if (other := self._commit_problem(head)) is None:
            return
        if (restored := self._restored_since(head)) is not None:
            self._findings.append(Finding(f"{other}; {restored}", where, "nothing, if that was meant", damage=False))
        else:
            self._findings.append(Finding(other, where, RESTORE))

    def _commit_problem(self, head: PublishedHead) -> str | None:
        version, sha256 = head.commit
        if not sha256:
            return None
        if (there := self._ledger.commit(version)) is not None and there != sha256:
            return f"commit {version} is another one than was published"
        newest = self._ledger.newest().version
        return f"the log ends at commit {newest}, and had commit {version} when it was published" if newest < version else None

    def _restored_since(self, head: PublishedHead) -> str | None:
        for event, deed in deeds(self._store):
            if deed.type == RESTORED and event.recorded_at >= head.attested_at:
                return f"since then {deed.by} restored the log ({deed.why}), and its commits began anew"
        return None

    # Events ---------------------------------------------------------------------------------------------------

    def _check_events(self, told: Sequence[Told]) -> None:
        known = {(one.block.first, one.block.last): one for one in told}
        open_changes: list[tuple[Told, Block]] = []
        for block in self._now(told):
            one = known.pop((block.first, block.last))
            if block.identities != one.block.identities:
                self._wrong.append((block.first, block.last, "the events are others than were attested, or stand in another order"))
            elif block.payloads != one.block.payloads or one.is_renewed:
                open_changes.append((one, block))
            self._progress(block.last, self._chain.until)
        for one in known.values():
            self._wrong.append((one.block.first, one.block.last, "the events that were attested are missing"))
        self._judge(open_changes)

    def _now(self, told: Sequence[Told]) -> Iterator[Block]:
        """Every range between two gaps, of which a broken chain may have some."""
        if told:
            places = [(one.block.first, one.block.last) for one in told]
            yield from blocks(self._ledger.stored(places[0][0] - 1, places[-1][1]), places)

    def _judge(self, changed: Sequence[tuple[Told, Block]]) -> None:
        """Payloads that are not what the first link said: erased, and told so?"""
        known = Erasures(self._store, self._ledger.log) if changed else None
        for one, block in changed:
            assert known is not None, "something has changed"
            here = block.erasures | known.at(block.first, block.last)
            same = block.payloads == one.block.payloads
            new = one.block.erasures if same else here - one.block.erasures
            if unknown := sorted(erasure for erasure in new if not known.tell_of(erasure)):
                self._wrong.append((block.first, block.last, f"events were erased by {', '.join(unknown)}, which no deed tells of"))
            elif not new or (same and not one.block.erasures <= here):
                self._wrong.append((block.first, block.last, "what the events say is not what was attested"))
            else:
                self._changes.append(ErasedSince(block.first, block.last, tuple(sorted(new)), one.payloads_by.recorded_at if same else None))


def _merged(wrong: Sequence[tuple[int, int, str]]) -> list[Finding]:
    """Neighbours with one problem are one finding."""
    found: list[tuple[int, int, str]] = []
    for first, last, problem in sorted(wrong):
        if found and found[-1][1] == first - 1 and found[-1][2] == problem:
            found[-1] = (found[-1][0], last, problem)
        else:
            found.append((first, last, problem))
    return [Finding(problem, f"positions {first:,} to {last:,}", RESTORE) for first, last, problem in found]


def _neighbours(changes: Sequence[ErasedSince]) -> list[ErasedSince]:
    found: list[ErasedSince] = []
    for change in sorted(changes, key=lambda one: one.first):
        if found and (found[-1].last, found[-1].erasures, found[-1].since) == (change.first - 1, change.erasures, change.since):
            found[-1] = ErasedSince(found[-1].first, change.last, change.erasures, change.since)
        else:
            found.append(change)
    return found
