"""One writer's turn at a keyed table: what it read is what it changes, or it changes nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Final, NamedTuple

import pyarrow as pa

from store.errors import TableMovedError, TableRefusedError
from store.keyed.keys import Ordered, in_order, rows_with, rows_without
from store.keyed.leaves import cut, cut_all
from store.keyed.opened import KeyedState, Opened
from store.tables.commit import Change, Commit
from store.tables.files import File, Retired
from store.tables.publishing import Outcome
from store.tables.sorted_files import DamagedFileError
from store.tables.staged import RECORDED_WITHIN_S, STAGED, staged_mark

WRITERS: Final = 4
WAITING: Final = 8
"""Leaves that wait to be written, at most: a change of all leaves shall not hold them all in memory."""


class Rewritten(NamedTuple):
    """A leaf's rows from now on, in as many leaves as they fill; `file`: the leaf that they replace, if there is one."""

    file: File | None
    parts: Sequence[pa.Table]


class KeyedTurn:
    """After an error the turn is over; take a new one. TableMovedError, from every method: another writer was first."""

    def __init__(self, opened: Opened, state: KeyedState, committed: Callable[[], None]) -> None:
        """`committed` is called after every commit."""
        self._opened, self.state, self._committed = opened, state, committed
        self._schema, self._key = opened.layout.schema, opened.key

    def rows(self, keys: pa.Table) -> pa.Table:
        """The rows that have one of these keys (each once), in the order of their keys."""
        wanted = in_order(keys.select(self._key), self._key)
        there = [rows_with(self._read(file), wanted[part], self._key) for file, part in self._touched(wanted) if file is not None]
        return pa.concat_tables([self._schema.empty_table(), *there])

    def commit(self, rows: pa.Table, deleted: pa.Table, txns: Mapping[str, int], marks: Mapping[str, str] | None = None) -> None:
        """Put these rows (one a key), delete those with these keys (none of them in `rows`), and set these txns, durably in one commit.

        `marks`: of the table from now on; None: as they are. The turn goes on from there. OutcomeUnknownError: take a new turn, and look.
        """
        fresh, gone = in_order(rows, self._key), in_order(deleted.select(self._key), self._key)
        self._publish(self._rewritten(fresh, gone), txns, marks)

    def replace(self, rows: pa.Table, txns: Mapping[str, int], marks: Mapping[str, str]) -> None:
        """Put these rows in the place of all, and these txns and marks in the place of the old ones, durably in one commit."""
        self.replace_by([in_order(rows, self._key)], len(rows), txns, marks)

    def replace_by(self, blocks: Iterable[pa.Table], count: int, txns: Mapping[str, int], marks: Mapping[str, str]) -> None:
        """The same by so many rows (one a key) that come block by block in the order of their keys. A few leaves are in memory.

        Staged files are not recorded any more.
        """
        removed = (Rewritten(file, []) for file in self.state.leaves.files)
        self._publish(chain(removed, (Rewritten(None, [leaf]) for leaf in cut_all(blocks, count))), txns, _unstaged(marks))

    @property
    def staged(self) -> Mapping[str, Sequence[File]]:
        """The staged files that are recorded, by label."""
        return self._opened.log.staged(self.state.marks)

    def record(self, staged: Mapping[str, Sequence[File]], marks: Mapping[str, str]) -> None:
        """Let the table name these staged files, and no others, beside these marks, durably in one commit. Vacuum leaves them, while it does.

        TableRefusedError: one was staged so long ago that a vacuum may have taken it before.
        """
        known, now_ms = {file.path for files in self.staged.values() for file in files}, time.time_ns() // 1_000_000
        fresh = (file for files in staged.values() for file in files if file.path not in known)
        if old := next((file.path for file in fresh if now_ms - file.modified_ms > RECORDED_WITHIN_S * 1000), None):
            remedy = "stage its rows anew, and record them at once"
            raise TableRefusedError(self._opened.objects.uri, f"{old} was staged long ago, and may be gone", remedy)
        nothing = self._schema.empty_table()
        self.commit(nothing, nothing, {}, _unstaged(marks) | staged_mark(staged))

    def _rewritten(self, fresh: pa.Table, gone: pa.Table) -> Iterator[Rewritten]:
        """Of each leaf that changes, in no particular order. One is in memory at a time."""
        nothing = self._schema.empty_table()
        slices: dict[str, tuple[File | None, list[pa.Table]]] = {}
        for number, changes in enumerate((fresh, gone)):
            for file, part in self._touched(changes):
                slices.setdefault(file.path if file else "", (file, [nothing, gone.slice(0, 0)]))[1][number] = changes[part]
        size = self.state.row_count + len(fresh)
        for file, (put, lost) in slices.values():
            before = self._schema.empty_table() if file is None else self._read(file)
            kept = rows_without(rows_without(before, put, self._key), lost, self._key)
            if len(put) or len(kept) < len(before):
                rows = in_order(pa.concat_tables([kept, put]), self._key) if len(kept) else put
                yield Rewritten(file, cut(rows, size))

    def _publish(self, rewritten: Iterable[Rewritten], txns: Mapping[str, int], marks: Mapping[str, str] | None) -> None:
        self._opened.log.refresh()
        removed, added, vacuumed = list[File](), list[File](), self._opened.log.vacuumed
        with ThreadPoolExecutor(WRITERS, "alluvium-leaves") as pool:
            writing = deque[Future[File]]()
            for file, parts in rewritten:
                removed += [] if file is None else [file]
                for rows in parts:
                    writing.append(pool.submit(self._opened.write, rows))
                    if len(writing) > WAITING:
                        added.append(writing.popleft().result())
            added += [future.result() for future in writing]
        now_ms = time.time_ns() // 1_000_000
        gone = [Retired(file.path, now_ms, file.size_bytes) for file in removed]
        self._amend(Change(operation="MERGE", added=added, removed=gone, txns=txns, marks=marks), vacuumed)
        self._opened.files.drop(removed)
        self._committed()

    def _amend(self, change: Change, vacuumed: int) -> None:
        """`vacuumed`: that of the log before the added files were written; if a vacuum began since, it may have taken them."""
        log, before = self._opened.log, self.state
        files = {file.path: file for file in before.leaves.files}

        def decide() -> Change | None:
            # Upkeep of others may have come between, but nothing that we built on.
            marks = {} if log.table is None else log.table.marks
            as_read = log.txns == before.txns and marks == before.marks and {file.path for file in log.files()} == files.keys()
            return change if as_read and log.vacuumed == vacuumed else None

        commit = log.amend(decide)
        if not isinstance(commit, Commit):
            if commit is Outcome.THEIRS:           # else a put of ours may land yet
                self._opened.objects.delete([file.path for file in change.added])
            raise TableMovedError(self._opened.objects.uri)
        # By our own commit, not by what the log says now: who came after us is to be met at the next commit.
        after = {path: file for path, file in files.items() if path not in {one.path for one in change.removed}}
        leaves = self._opened.leaves([*after.values(), *change.added])
        marks = before.marks if change.marks is None else change.marks
        self.state = KeyedState(commit.version, {**before.txns, **change.txns}, marks, leaves)

    def _touched(self, keys: pa.Table) -> Iterator[tuple[File | None, slice]]:
        return self.state.leaves.touched(Ordered(keys, self._key))

    def _read(self, file: File) -> pa.Table:
        try:
            return self._opened.read(file)
        except DamagedFileError as error:
            self._opened.log.refresh()             # who slept has not heard yet that others replaced it, and vacuumed
            if file.path not in {live.path for live in self._opened.log.files()}:
                raise TableMovedError(self._opened.objects.uri) from error
            raise self._opened.refusal(str(error)) from error


def _unstaged(marks: Mapping[str, str]) -> dict[str, str]:
    return {name: said for name, said in marks.items() if name != STAGED}
