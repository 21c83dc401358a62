"""The links of one log, one after the other, and what they say together of each block."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from store.audit.block import Block
from store.audit.link import CHAIN, Link
from store.event import RecordedEvent
from store.event_store import EventStore
from store.finding import RESTORE, Finding


@dataclass(frozen=True, slots=True)
class Told:
    """What a block is attested to be: its identities by one link, its payloads by that or a later one."""

    block: Block
    identities_by: Link
    payloads_by: Link

    @property
    def is_renewed(self) -> bool:
        return self.payloads_by is not self.identities_by


@dataclass(slots=True)
class Chain:
    """`version`: that of the stream of links, when it was read. `findings`: where a link does not follow from those before it."""

    log: str
    version: int = 0
    links: list[Link] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _told: dict[tuple[int, int], Told] = field(default_factory=dict)

    @property
    def until(self) -> int:
        """The last position that is attested."""
        return self.links[-1].until if self.links else 0

    @property
    def newest(self) -> str | None:
        """The digest of the newest link."""
        return self.links[-1].digest if self.links else None

    def told(self) -> Sequence[Told]:
        """Of all attested blocks, in order of position."""
        return list(self._told.values())

    def get(self, digest: str) -> Link | None:
        return next((link for link in self.links if link.digest == digest), None)

    def take(self, link: Link) -> None:
        where = f"link {link.version} of {CHAIN}"
        if link.previous != self.newest:
            self.findings.append(Finding("it does not follow the link before it, by its digest: one of the two was changed", where, RESTORE))
        if link.after != self.until:
            problem = f"it goes on after position {link.after:,}, and the link before it ends at {self.until:,}"
            self.findings.append(Finding(problem, where, RESTORE))
        for block in link.blocks():
            self._told[block.first, block.last] = Told(block, link, link)
        for one in link.renewed:
            if (before := self._told.get((one.first, one.last))) is None:
                self.findings.append(Finding(f"it attests positions {one.first:,} to {one.last:,} anew, which are no block", where, RESTORE))
                continue
            block = replace(before.block, payloads=one.payloads, erasures=one.erasures)
            self._told[one.first, one.last] = Told(block, before.identities_by, link)
        self.links.append(link)


class Places:
    """Blocks by position."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._told, self._lasts = told, [one.block.last for one in told]

    def at(self, position: int) -> Told | None:
        place = bisect_left(self._lasts, position)
        return self._told[place] if place < len(self._told) and self._told[place].block.first <= position else None


def read_chains(store: EventStore, logs: Iterable[str]) -> dict[str, Chain]:
    """The chain of each log that has one of these ids. What is no link at all is a finding of every chain."""
    chains = {log: Chain(log) for log in logs}
    for event in _links(store):
        for chain in chains.values():
            chain.version = event.version
        try:
            link = Link.of(event)
        except ValueError as error:
            for chain in chains.values():
                chain.findings.append(Finding(str(error), f"link {event.version} of {CHAIN}", RESTORE))
            continue
        if link.log in chains:
            chains[link.log].take(link)
    return chains


def _links(store: EventStore) -> Iterator[RecordedEvent]:
    return RecordedEvent.each(store.read_stream(CHAIN))
