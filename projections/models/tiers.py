"""Rows by key in memory, changed by small steps: each step is a tier of its own, and tiers are merged as they pile up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from store import rows_with, rows_without


class Tier(NamedTuple):
    """`rows`, one a key, and the keys of rows that are `gone`; both in the place of what older tiers say of these keys."""

    rows: pa.Table
    gone: pa.Table

    def size(self) -> int:
        return len(self.rows) + len(self.gone)


class Tiers(NamedTuple):
    """Never changed: a reader needs no lock. Each tier is more than twice as large as the next newer one, so a row is copied a few times at most."""

    key: Sequence[str]
    tiers: tuple[Tier, ...]

    def put(self, rows: pa.Table, gone: pa.Table) -> Tiers:
        """With these rows from now on, and without those with the keys that are gone."""
        newest, older = Tier(rows, gone.select(self.key)), list(self.tiers)
        while older and older[-1].size() <= 2 * newest.size():
            newest = self._merged(older.pop(), newest)
        return self._replace(tiers=(*older, newest))

    def find(self, keys: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The rows that have these keys (each once), and those of the keys of which nothing is said here."""
        found, unsaid = [tier.rows.slice(0, 0) for tier in self.tiers[:1]], keys
        for tier in reversed(self.tiers):
            if len(unsaid):
                there = rows_with(tier.rows, unsaid, self.key)
                found.append(there)
                # Without what was found, not without all rows of the tier: these may be millions, where few are asked for.
                unsaid = rows_without(rows_without(unsaid, there, self.key), tier.gone, self.key)
        return pa.concat_tables(found), unsaid

    def all(self) -> Tier:
        """What is said of every key, in one tier."""
        merged = self.tiers[0]
        for newer in self.tiers[1:]:
            merged = self._merged(merged, newer)
        return merged

    def settled(self) -> Tiers:
        """The same where nothing lies below: what is gone in the oldest tier need not be said any more."""
        oldest = self.tiers[0]
        return self._replace(tiers=(oldest._replace(gone=oldest.gone.slice(0, 0)), *self.tiers[1:]))

    def size_bytes(self) -> int:
        return sum(int(tier.rows.nbytes) + int(tier.gone.nbytes) for tier in self.tiers)

    def _merged(self, older: Tier, newer: Tier) -> Tier:
        def kept(of: pa.Table) -> pa.Table:
            return rows_without(rows_without(of, newer.rows, self.key), newer.gone, self.key)

        return Tier(*(pa.concat_tables([kept(there), come]).combine_chunks() for there, come in zip(older, newer, strict=True)))


def empty(columns: pa.Schema, key: Sequence[str]) -> Tiers:
    """Nothing is said of any key."""
    rows = columns.empty_table()
    return Tiers(tuple(key), (Tier(rows, rows.select(key)),))
