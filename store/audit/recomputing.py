"""What attested blocks hold now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from store.audit.block import Block, blocks
from store.audit.chain import Told
from store.audit.ledger import Ledger

SECTION: Final = 1 << 17
"""Blocks in so many positions are read together, as the log's files are sorted by these."""


def recomputed(ledger: Ledger, told: Sequence[Told]) -> Iterator[Block]:
    """What these blocks, in order, hold now; those without a single event are left out."""
    for _, near in groupby(told, key=lambda one: (one.block.first - 1) // SECTION):
        places = [(one.block.first, one.block.last) for one in near]
        yield from blocks(ledger.stored(places[0][0] - 1, places[-1][1]), places)
