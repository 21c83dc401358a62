"""Copying the files of a log, in steps: each one is durable, and then switched to by one commit of the copy."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from store.delta import head_runs
from store.delta.actions import Segment
from store.delta.commits import Share, copying
from store.delta.copying.body import VanishedError, contents, fetch, missing
from store.delta.copying.lineage import check_lineage
from store.delta.copying.stretches import Likeness, Piece, Stretch, joined, lacking, likeness
from store.delta.log import Log, Nobody, Outcome
from store.delta.part import encoded, renamed
from store.errors import OutcomeUnknownError, StorageError, StoreError, TableRefusedError
from store.storage.objects import Objects

AT_ONCE: Final = 4
"""Files that are copied side by side; each is in memory whole."""
PATIENCE: Final = 20
"""Tries without getting further, when files vanish or others commit to the copy."""

Progress = Callable[[int, int], None]
"""Told (bytes done, all bytes), on the caller's thread."""


class _Made(NamedTuple):
    """A file of the copy. `recorded_at`: its newest; `old`: it was there before."""

    segment: Segment
    recorded_at: int
    old: bool


class Copier:
    """One copy under way. Every step takes the newest state of both logs, so it bears whatever happens to either."""

    def __init__(self, source: Objects, destination: Objects, position: int, step_bytes: int, progress: Progress) -> None:
        self._source, self._destination, self._position = source, destination, position
        self._step_bytes, self._progress = step_bytes, progress
        self.files_copied = self.files_removed = self.copied_bytes = 0
        self._made: dict[tuple[str, bool], _Made] = {}
        self._done_bytes = 0
        self._made_at = -1
        """The copy's Delta version while they were written: no file is committed across a commit of somebody else, which may be a vacuum's."""

    def run(self) -> None:
        after, patience = -1, PATIENCE
        try:
            while after < self._position:
                reached = self._tried(after)
                patience = PATIENCE if reached > after else patience - 1
                if not patience:
                    raise StorageError(
                        f"{self._destination.uri} got no further than position {max(after, 0):,} in {PATIENCE} tries: files of the source vanish "
                        "or others commit to the copy; keep replaced files longer, and copy to one place once at a time"
                    )
                after = reached
        except OutcomeUnknownError:                # a commit may appear that names what was written
            raise
        except BaseException:
            self._discard()
            raise

    def _tried(self, after: int) -> int:
        try:
            return self._step(after)
        except VanishedError as vanished:
            if vanished.path in {segment.path for segment in Log(self._source, Nobody()).segments()}:
                raise missing(self._source, vanished.path) from None
            return after

    def _step(self, after: int) -> int:
        """Take over what comes after position `after`; up to where the two are equal then, `after` if another was first."""
        log, copied = Log(self._source, Nobody()), Log(self._destination, Nobody(), may_be_absent=True)
        if copied.version != self._made_at:        # somebody else has committed, unless this is the first step
            if copied.version >= 0:
                check_lineage(self._source, log, self._destination, copied)
            self._discard()
            self._made_at = copied.version
        if copied.head > self._position:           # another copier of the same log is further than we are to go
            return self._position
        stretches = [stretch for stretch in lacking(log.segments(), copied.segments(), self._position) if stretch.last > after]
        step = joined(stretches, self._step_bytes) if stretches else Stretch(self._position, (), ())
        share = self._share(copied, step, sum(stretch.size_bytes for stretch in stretches))
        if share.added or share.removed or copied.version < 0:
            return step.last if self._commit(copied, share) else after
        return step.last

    def _share(self, copied: Log, step: Stretch, todo_bytes: int) -> Share:
        """Write the files of a step; nothing names them yet."""
        there = {likeness(segment): segment for segment in step.superseded}
        all_made, done_bytes = [], self._done_bytes
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            for piece, made in zip(step.missing, pool.map(lambda piece: self._bring(piece, there), step.missing), strict=True):
                all_made.append(made)
                done_bytes += piece.segment.size_bytes
                self._progress(done_bytes, self._done_bytes + todo_bytes)
        finally:
            pool.shutdown(cancel_futures=True)
        self._done_bytes = done_bytes
        kept = {made.segment.path for made in all_made if made.old}
        head = max(copied.head, step.last)
        return Share(
            before=copied.head,
            head=head,
            recorded_at=max(made.recorded_at for made in all_made) if head > copied.head else copied.recorded_at,
            removed=[segment for segment in step.superseded if segment.path not in kept],
            added=[made.segment for made in all_made if not made.old],
        )

    def _bring(self, piece: Piece, there: Mapping[Likeness, Segment]) -> _Made:
        """Look through one file and write it at the destination, durably."""
        made = self._made.get((piece.segment.path, piece.cut))
        if made is not None:                       # in a try before this one
            return made
        body = fetch(self._source, piece.segment)
        if piece.cut:
            made = self._cut(piece.segment, body, there)
        else:
            recorded_at = max(_newest(events) for events in contents(self._source, piece.segment, body))
            made = self._written(renamed(piece.segment), body, recorded_at)
        self._made[piece.segment.path, piece.cut] = made
        return made

    def _cut(self, segment: Segment, body: bytes, there: Mapping[Likeness, Segment]) -> _Made:
        """The file without what lies beyond the copy's end. The same cut may have been made before."""
        parts = [events.filter(pc.less_equal(events["position"], self._position)) for events in contents(self._source, segment, body)]
        events = pa.concat_tables(parts)
        made, cut = encoded(events, segment.shard, (segment.run[0], self._position))
        made = replace(made, rewritten=segment.rewritten)
        old = there.get(likeness(made))
        return _Made(old, _newest(events), old=True) if old is not None else self._written(made, cut, _newest(events))

    def _written(self, segment: Segment, body: bytes | pa.Buffer, recorded_at: int) -> _Made:
        self._destination.put(segment.path, body)
        return _Made(segment, recorded_at, old=False)

    def _commit(self, copied: Log, share: Share) -> bool:
        """False: another commit was first."""
        if sum(s.rows for s in share.added) - sum(s.rows for s in share.removed) != share.head - share.before:
            problem = f"its files do not hold each position up to {share.head:,} once"
            raise TableRefusedError(self._source.uri, problem, "verify the log and the backup")
        newest = Log(self._destination, Nobody(), may_be_absent=True)  # by now clean-up may have passed the state that the step began with
        if newest.version != copied.version:
            return False
        commit_id = str(uuid.uuid4())
        creates = None if copied.version >= 0 else Log(self._source, Nobody()).table
        if creates is not None:
            head_runs.discard(self._destination)
        body = copying(commit_id, share, time.time_ns() // 1_000_000, creates)
        match newest.publish(copied.version + 1, body, commit_id):
            case Outcome.THEIRS:
                return False
            case Outcome.THEIRS_AT_LAST | Outcome.SLEPT:  # a put that is still under way, or that landed, names these files: leave them
                self._made.clear()
                return False
        named = {segment.path for segment in share.added}
        self._made = {piece: made for piece, made in self._made.items() if made.segment.path not in named}
        self._discard()                            # of tries before this one
        self._made_at = copied.version + 1
        self.files_copied += len(share.added)
        self.files_removed += len(share.removed)
        self.copied_bytes += sum(segment.size_bytes for segment in share.added)
        return True

    def _discard(self) -> None:
        """Remove what no commit names. Who comes later finds only that which is live, so a failure here costs no more than space."""
        with suppress(StoreError):
            self._destination.delete([made.segment.path for made in self._made.values() if not made.old])
        self._made.clear()


def _newest(events: pa.Table) -> int:
    return int(pc.max(events["recorded_at"].cast(pa.int64())).as_py())
