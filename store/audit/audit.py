"""Who did what to a store, and proof that nothing else was done: of each of its logs a chain of links."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from store.audit.attesting import Attestation, Progress
from store.audit.chain import Chain, Places, Told, read_chains
from store.audit.checking import Checking, Proof
from store.audit.erasures import Erasures
from store.audit.head import PublishedHead
from store.audit.ledger import Ledger
from store.audit.recomputing import recomputed
from store.deeds import Deed, check_named, deeds
from store.errors import InvalidEventError
from store.event import RecordedEvent
from store.finding import RESTORE, Finding

if TYPE_CHECKING:
    from store.submits import Submits


def _nobody(done: int, of: int) -> None: ...


class Audit:
    """One for each store. Of a warehouse of several logs each has its own chain; the links of all lie in one stream, `$chain`."""

    def __init__(self, store: Submits, ledgers: Callable[[], Sequence[Ledger]]) -> None:
        self._store, self._ledgers = store, ledgers

    def deeds(self, after: int = 0) -> Iterator[tuple[RecordedEvent, Deed]]:
        """What was done to the store past that version of the stream `$audit`, oldest first, each with its place."""
        return deeds(self._store, after)

    def attest(self, *, by: str, why: str, progress: Progress = _nobody) -> list[PublishedHead]:
        """Say durably, by digests, what each log holds up to its head now, and which erasures have changed since it was attested last; the heads
        to publish, one a log. Reads what is new, and blocks with new husks, in bounded memory; appends a link for each 2^20 positions.

        `progress` is told (positions done, all positions), log by log. InvalidEventError: nobody, or no reason, is named. TableRefusedError: the
        chain is broken. StorageError: the log lacks events.
        """
        check_named(by, why)
        for ledger in self._ledgers():
            Attestation(self._store, ledger, by, why, progress).run()
        return self.heads()

    def heads(self) -> list[PublishedHead]:
        """What to publish of each log that was attested; the links of those that were are older than what came since."""
        ledgers = self._ledgers()
        chains = read_chains(self._store, [ledger.log for ledger in ledgers])
        heads = []
        for ledger in ledgers:
            if links := chains[ledger.log].links:
                newest = links[-1]
                assert newest.recorded_at is not None, "it was read from the store"
                heads.append(PublishedHead(ledger.log, newest.until, newest.digest, ledger.newest(), newest.recorded_at))
        return heads

    def check(
        self, *heads: PublishedHead | str, after: int | Mapping[str, int] = 0, most: int | None = None, progress: Progress = _nobody
    ) -> list[Proof]:
        """Read what is attested, and compare it with the links, and these with heads that were published; one proof a log.

        `after`: of the events only blocks with later positions are read, of each log or by its id; `most`: about so many of a log at most.
        `progress`: see `attest`. InvalidEventError: a head is none, or of another warehouse.
        """
        ledgers = self._ledgers()
        published = [head if isinstance(head, PublishedHead) else PublishedHead.parse(head) for head in heads]
        chains = read_chains(self._store, [ledger.log for ledger in ledgers])
        for head in published:
            if head.log not in chains:
                there = ", ".join(chains)
                raise InvalidEventError("head", str(head), f"is of another log than {there}", "name the warehouse that it was published of")
        proofs = []
        for ledger in ledgers:
            begin = after if isinstance(after, int) else after.get(ledger.log, 0)
            own = [head for head in published if head.log == ledger.log]
            proofs.append(Checking(self._store, ledger, chains[ledger.log], progress).run(own, begin, begin + most if most else None))
        return proofs

    def findings_at(self, log: str, positions: Sequence[int]) -> list[Finding]:
        """Which attested blocks with these positions of a log no longer are what was attested: to be asked before an erasure changes them for good.

        Blocks with erasures of which no link speaks yet are passed over: they are not proved until they are attested anew.
        """
        ledger = next(ledger for ledger in self._ledgers() if ledger.log == log)
        chain = read_chains(self._store, [log])[log]
        known = _blocks_at(chain, positions)
        found, erasures = [*chain.findings], Erasures(self._store, log)
        for block in recomputed(ledger, list(known.values())):
            told = known.pop((block.first, block.last)).block
            here = block.erasures | erasures.at(block.first, block.last)
            if block.identities != told.identities or (block.payloads != told.payloads and here <= told.erasures):
                found.append(Finding("the events are not what was attested", f"positions {block.first:,} to {block.last:,}", RESTORE))
        found += [Finding("the events that were attested are missing", f"positions {first:,} to {last:,}", RESTORE) for first, last in known]
        return found


def _blocks_at(chain: Chain, positions: Sequence[int]) -> dict[tuple[int, int], Told]:
    places = Places(chain.told())
    told = [one for position in sorted(set(positions)) if (one := places.at(position)) is not None]
    return {(one.block.first, one.block.last): one for one in told}
