"""The contents of all live files, range by range of positions, two files at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Final

import duckdb
import polars as pl

from store.delta.actions import Segment
from store.delta.verifying.file_check import FileChecked, check_file
from store.delta.verifying.order_check import Order
from store.finding import RESTORE, Finding
from store.storage.objects import Objects

STRETCH_ROWS: Final = 1 << 19
"""Files are taken together until they hold this many rows: what must be kept of them all at once is small then."""
THREADS: Final = 2

Progress = Callable[[int, int], None]
"""Told (events done, all events) as files are done, on the thread that called."""


class VanishedError(Exception):
    """Files are no longer there: merged and vacuumed since the state was read, or lost. Ask the log which."""

    def __init__(self, checked: Sequence[FileChecked]) -> None:
        self.files = {one.segment.path: one.findings for one in checked}
        super().__init__(", ".join(self.files))


class Contents:
    """A check that remembers how far it came, so that it can go on with a newer state of the log."""

    def __init__(self, objects: Objects, progress: Progress, order: Order) -> None:
        self._objects, self._progress, self._order = objects, progress, order
        self._done = self._total = 0
        self.findings: list[Finding] = []
        self.missing: set[str] = set()
        """Files known to be lost, which are not looked for again."""

    def check(self, segments: Collection[Segment]) -> None:
        """Check the rest of the log as these files hold it. VanishedError: call it again with what is live then."""
        ahead = [s for s in segments if s.last > self._order.last]
        self._total = sum(s.rows for s in segments)
        self._done = self._total - sum(s.rows for s in ahead)
        with duckdb.connect() as duck, ThreadPoolExecutor(THREADS) as pool:
            look = partial(check_file, self._objects, duck, after=self._order.last)
            under_way: tuple[list[Segment], list[Future[FileChecked]]] | None = None
            for stretch in _stretches(ahead):      # its files are read while the order of those before it is looked at
                before, under_way = under_way, (stretch, [pool.submit(look, s) for s in stretch if s.path not in self.missing])
                if before is not None:
                    self._finish(*before)
            if under_way is not None:
                self._finish(*under_way)

    def _finish(self, stretch: Sequence[Segment], looks: Sequence[Future[FileChecked]]) -> None:
        checked = []
        for look in looks:
            checked.append(look.result())
            self._done += checked[-1].segment.rows
            self._progress(self._done, self._total)
        if vanished := [one for one in checked if one.missing]:
            raise VanishedError(vanished)
        self._take(stretch, checked)

    def _take(self, stretch: Sequence[Segment], checked: Sequence[FileChecked]) -> None:
        self.findings += chain.from_iterable(one.findings for one in checked)
        places = [there for one in checked for there in one.places]
        until = max(segment.last for segment in stretch)
        wrong: list[tuple[str, str]] = []
        if places and len(checked) == len(stretch) and all(one.readable for one in checked):
            wrong += self._order.follow_positions(pl.concat([there.positions for there in places]), until)
        else:
            self._order.skip(until)                # what is missing was told already, by file
        if places:
            wrong += self._order.follow_streams(pl.concat([there.stretches for there in places]))
        self.findings += [Finding(problem, where, RESTORE) for where, problem in wrong]


def _stretches(segments: Collection[Segment]) -> Iterator[list[Segment]]:
    """Neighbouring ranges of positions that no file of another one reaches into."""
    stretch: list[Segment] = []
    rows = last = 0
    for segment in sorted(segments, key=lambda s: s.first):
        if stretch and segment.first > last and rows + segment.rows > STRETCH_ROWS:
            yield stretch
            stretch, rows = [], 0
        stretch.append(segment)
        rows, last = rows + segment.rows, max(last, segment.last)
    if stretch:
        yield stretch
