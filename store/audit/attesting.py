"""Attesting: links are appended, until all that the log holds, and all that was erased of it, is spoken of by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain as chain_of
from itertools import islice
from typing import Final

from store.append import Append
from store.audit.block import Block, blocks, spans
from store.audit.chain import Chain, Places, Told, read_chains
from store.audit.erasures import Erasures
from store.audit.ledger import Ledger
from store.audit.link import CHAIN, REACH, Link, Renewal
from store.audit.recomputing import recomputed
from store.errors import StorageError, TableRefusedError, WrongExpectedVersionError
from store.husk import erasure_of
from store.reserved import append_own
from store.submits import Submits

RENEWED: Final = 2_000
"""Blocks that one link attests anew at most."""
_FEW: Final = 64

Progress = Callable[[int, int], None]
"""Told (positions done, all positions)."""


class Attestation:
    """One log's, under way. Several at once do no harm: whoever comes second goes on from what the first one said."""

    def __init__(self, store: Submits, ledger: Ledger, by: str, why: str, progress: Progress) -> None:
        self._store, self._ledger, self._by, self._why, self._progress = store, ledger, by, why, progress
        self._head = ledger.head()

    def run(self) -> Chain:
        """The chain up to the head as it was when this began. For errors see `Audit.attest`."""
        while True:
            chain = read_chains(self._store, [self._ledger.log])[self._ledger.log]
            if chain.findings:
                raise TableRefusedError(self._ledger.log, f"the chain of this log is broken: {chain.findings[0]}", "find out who did that first")
            if not self._append(chain):
                return chain

    def _append(self, chain: Chain) -> bool:
        """The next links. False: there is nothing to say any more."""
        rewrites, erasures = self._ledger.rewrites(), Erasures(self._store, self._ledger.log)  # before anything is read: what is done is seen then
        due = self._due(chain, erasures) if chain.links and rewrites != chain.links[-1].rewrites else {}
        if not due and self._is_quiet(chain):
            return False
        chosen = dict(islice(due.items(), RENEWED))
        renewed = [
            Renewal(block.first, block.last, block.payloads, block.erasures | erasures.at(block.first, block.last) & erasures.done)
            for block in recomputed(self._ledger, list(chosen.values()))
        ]
        until = min(self._head, chain.until + REACH - chain.until % REACH)
        found = list(self._blocks(chain.until, until))
        self._check_dense(found, chain.until, until)
        link = Link(
            log=self._ledger.log,
            after=chain.until,
            until=until,
            previous=chain.newest,
            identities=[block.identities for block in found],
            payloads=[block.payloads for block in found],
            erasures=frozenset().union(*(block.erasures for block in found), erasures.at(chain.until + 1, until) & erasures.done),
            renewed=renewed,
            rewrites=rewrites if len(chosen) == len(due) else "",
            by=self._by,
            why=self._why,
        )
        try:
            append_own(self._store, [Append(CHAIN, [link.event()], chain.version)])
        except WrongExpectedVersionError:
            return True
        self._progress(until, self._head)
        return True

    def _is_quiet(self, chain: Chain) -> bool:
        """Nothing came but links: to speak of these alone would go on for ever."""
        new = self._head - chain.until
        if new <= 0:
            return True
        return new <= _FEW and all(set(events["stream_id"].to_pylist()) == {CHAIN} for events in self._ledger.stored(chain.until, self._head))

    def _blocks(self, after: int, until: int) -> Iterable[Block]:
        return blocks(self._ledger.stored(after, until), spans(after + 1, until)) if until > after else ()

    def _check_dense(self, found: Sequence[Block], after: int, until: int) -> None:
        if len(found) != len(list(spans(after + 1, until))):
            raise StorageError(f"the log lacks events between positions {after + 1:,} and {until:,}: verify it")

    # What was erased ------------------------------------------------------------------------------------------

    def _due(self, chain: Chain, erasures: Erasures) -> dict[tuple[int, int], Told]:
        """The blocks that erasures have changed of which no link speaks. Those of which no deed tells are left for `check` to find."""
        places, due = Places(chain.told()), dict[tuple[int, int], Told]()
        for erasure, position in chain_of(erasures.places(), self._husks(chain.until)):
            told = places.at(position)
            if told is not None and erasure not in told.block.erasures and erasures.tell_of(erasure):
                due[told.block.first, told.block.last] = told
        return dict(sorted(due.items()))

    def _husks(self, until: int) -> Iterator[tuple[str, int]]:
        for husks in self._ledger.husks(until):
            for data, position in zip(husks["data"].to_pylist(), husks["position"].to_pylist(), strict=True):
                if (erasure := erasure_of(data)) is not None:
                    yield erasure, position
