"""All logs of a warehouse as one: which events have their place among all, and where each place is."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from store.logs.log_name import LogName
from store.logs.member import Member
from store.logs.merged import read_backward, read_forward
from store.logs.order import Cut, counted, place_of, settled
from store.logs.tree import Tree
from store.selection import Selection

LOOKS: Final = 10
"""So many looks at the logs, by the time between two of them, one that is silent is waited for, before it is told the time."""
ROUNDS: Final = 5
KNOWN_PLACES: Final = 1_000

Places = tuple[Sequence[Member], Sequence[int]]
"""All logs, and how many events of each lie up to a place."""


class Together:
    """Safe to use from many threads at once: what is remembered may be forgotten at any time."""

    def __init__(self, tree: Tree, poll_s: float) -> None:
        """`poll_s`: between two looks at what others did."""
        self._tree, self._poll_s = tree, poll_s
        self._known: OrderedDict[int, dict[LogName, int]] = OrderedDict()

    def settled(self) -> Places:
        """The events that have their place, with every one that any process was answered before."""
        for _ in range(ROUNDS):
            members = self._tree.refreshed()
            place = counted(members, settled(members))
            if not (silent := _silent(members, place)) or not self._passed(silent):
                break
        self._remember(sum(place), members, place)
        return members, place

    def head(self) -> int:
        return sum(self.settled()[1])

    def upto(self, position: int) -> Places:
        """The first so many events, or all."""
        members, place = self.settled()
        return members, place if position >= sum(place) else self._place(members, position)

    def recorded_by(self, moment: int) -> int:
        """The last position recorded by that microsecond."""
        members, _ = self.settled()
        return sum(counted(members, min(settled(members), Cut(moment, len(members)))))

    def before(self, log: Member, moment: int) -> int:
        """How many events of other logs come before those of this one that were recorded at that microsecond."""
        members, _ = self.settled()
        places = counted(members, Cut(moment, members.index(log)))
        return sum(place for place, member in zip(places, members, strict=True) if member is not log)

    def read(self, after: int, until: int | None, wanted: Selection, limit: int | None, backward: bool) -> Iterator[pa.RecordBatch]:
        """The wanted events at positions in (after, until], as they are at this call."""
        members, place = self.settled()
        end = sum(place) if until is None else min(until, sum(place))

        def read(after: int, until: int) -> Iterator[pa.Table]:
            return read_forward(members, self._place(members, after), self._place(members, until), wanted)

        begin = min(after, end)
        return _limited(read_backward(read, begin, end, None if wanted.narrow else limit) if backward else read(begin, end), limit)

    # Below ----------------------------------------------------------------------------------------------------

    def _passed(self, silent: Sequence[tuple[Member, int]]) -> bool:
        """Wait until these logs have passed those times; False if one does not.

        Where all are busy each does so in a moment, by itself. One that has been silent for long, or stays so, is told the time: so that a
        commit for it is made now and then, and not for every event of others.
        """
        began_s, patience_s = time.monotonic(), LOOKS * self._poll_s
        while waited := [(log, moment) for log, moment in silent if log.promised_at < moment and not log.sealed]:
            late = time.monotonic() - began_s >= patience_s
            if due := [(log, moment) for log, moment in waited if late or moment - log.promised_at >= 1e6 * patience_s]:
                self._tree.tick(due)
                if any(log.promised_at < moment and not log.sealed for log, moment in due):
                    return False
            else:
                time.sleep(self._poll_s)
                self._tree.refreshed()
        return True

    def _place(self, members: Sequence[Member], position: int) -> list[int]:
        if (known := self._known.get(position)) is None:
            known = self._remember(position, members, place_of(members, position, settled(members).recorded_at))
        return [known.get(member.name, 0) for member in members]

    def _remember(self, position: int, members: Sequence[Member], place: Sequence[int]) -> dict[LogName, int]:
        known = self._known[position] = {member.name: there for member, there in zip(members, place, strict=True)}
        while len(self._known) > KNOWN_PLACES:
            self._known.popitem(last=False)
        return known


def _silent(members: Sequence[Member], place: Sequence[int]) -> list[tuple[Member, int]]:
    """The logs for which events of others wait, and the time that each must have passed."""
    waiting = [Cut(member.recorded_at, rank) for rank, member in enumerate(members) if member.known_head > place[rank]]
    if not waiting:
        return []
    newest = max(waiting)
    return [
        (member, newest.recorded_at + (rank < newest.rank))
        for rank, member in enumerate(members)
        if not member.sealed and Cut(member.promised_at, rank) < newest
    ]


def _limited(tables: Iterator[pa.Table], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for table in tables:
        rows = table if left is None else table.slice(0, left)
        yield from rows.to_batches(max_chunksize=65_536)
        if left is not None and (left := left - len(rows)) == 0:
            return
