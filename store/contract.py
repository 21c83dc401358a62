"""What an application asks of events beyond the store's own rules: checked at append, before anything is written."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from store.event import Event


class Contract(Protocol):
    """Called in the thread of each caller, many at once. `EventTypes.contract` makes one."""

    def check_event(self, stream_id: str, event: Event) -> None:
        """InvalidEventError: the event is not to be appended. It keeps the store's own rules already."""

    def check_table(self, events: pa.Table) -> None:
        """InvalidEventError: some rows are not to be appended, so none is. Columns of `schema.GIVEN`, all of them, in the log's types."""
