"""A log of a Delta table as an auditor sees it: by its files and commits, and nothing that this process remembers of them."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pyarrow as pa

from store.audit.ledger import Commit
from store.delta import reader
from store.delta.actions import Segment
from store.delta.log import Log, log_path
from store.delta.segment_files import SegmentFiles
from store.errors import StorageError, TableRefusedError
from store.husk import are_husks
from store.selection import Selection
from store.storage.objects import Objects
from store.tables.publishing import digest_of


class DeltaLedger:
    """See `Ledger`."""

    def __init__(self, objects: Objects, log: Log) -> None:
        self._objects, self._log = objects, log
        self._files = SegmentFiles(objects)

    @property
    def log(self) -> str:
        assert self._log.table is not None, "a log that is open has a table"
        return self._log.table.table_id

    def head(self) -> int:
        self._log.refresh()
        return self._log.head

    def stored(self, after: int, until: int) -> Iterator[pa.Table]:
        for batch in reader.read_all(self._files, self._log.live(), Selection(after, until), None, False, self._log.live):
            yield pa.Table.from_batches([batch])

    def rewrites(self) -> str:
        marks = sorted({segment.rewritten for segment in self._log.live()} - {""})
        return sha256("".join(marks).encode()).hexdigest() if marks else ""

    def husks(self, until: int) -> Iterator[pa.Table]:
        seen, left = set[str](), self._rewritten(until)
        while left:
            segment = left.pop()
            seen.add(segment.path)
            try:
                events = self._files.read_columns(segment, ["position", "data"])
            except (StorageError, TableRefusedError) as error:
                reader.others([segment], self._log.live, error)  # merged and vacuumed meanwhile: what it became is looked at instead
                left = [one for one in self._rewritten(until) if one.path not in seen]
                continue
            yield events.filter(are_husks(events["data"]))

    def newest(self) -> Commit:
        self._log.refresh()
        version, digest = self._log.newest()
        return Commit(version, digest or "")

    def commit(self, version: int) -> str | None:
        body = self._objects.get(log_path(version))
        return None if body is None else digest_of(body)

    def _rewritten(self, until: int) -> list[Segment]:
        return [segment for segment in self._log.live() if segment.rewritten and segment.first <= until]
