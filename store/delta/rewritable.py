"""The events of one log, as erasures and retention change them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa

from store.access import check_maintenance
from store.delta import archiving, rewriting
from store.delta.log import Log
from store.delta.segment_files import SegmentFiles
from store.retention.archived import Archived
from store.rewrite import Extent, Rewrite, Rewritten
from store.storage.objects import Objects


class DeltaRewritable:
    """See `Rewritable`. `check`: raises where the store can serve no more.

    Each change raises AccessDeniedError before anything is recorded, if these credentials may append at most: its commit is one that they could
    make, and what it takes away others would remove for them.
    """

    def __init__(self, objects: Objects, log: Log, files: SegmentFiles, check: Callable[[], None]) -> None:
        self._objects, self._log, self._files, self._check = objects, log, files, check
        self._maintains = False

    def check_access(self) -> None:
        """AccessDeniedError, as above. Once they may, it is not asked again."""
        self._check()
        if not self._maintains:
            check_maintenance(self._objects)
            self._maintains = True

    def rewrite(self, what: Rewrite, about: Callable[[pa.Table], None] = lambda touched: None) -> Rewritten:
        """Let some events say less from now on; see `store.delta.rewriting`. What this process remembers of events it forgets."""
        self.check_access()
        return rewriting.rewrite(self._objects, self._log, self._files, what, about)

    def find(self, what: Rewrite) -> pa.Table:
        """Which events that would change, with the columns that it is told."""
        self._check()
        return rewriting.find(self._log, self._files, what)

    def worn(self, what: Rewrite, share: float) -> Sequence[Extent]:
        """The extents of the files of whose rows such a part would change at least."""
        self._check()
        return rewriting.worn(self._log, self._files, what, share)

    def archive(self, streams: Collection[str], share: float, dry_run: bool) -> Iterator[Archived]:
        """Move the events of these streams to the archive; `retention.archive` knows which may."""
        if dry_run:
            self._check()
        else:
            self.check_access()
        return archiving.archive(self._objects, self._log, self._files, streams, share, dry_run)
