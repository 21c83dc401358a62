"""What an application asks of events beyond the store's own rules: checked at append, before anything is written."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from store.errors import InvalidEventError
from store.event import Event


class Contract(Protocol):
    """Called in the thread of each caller, many at once. `EventTypes.contract` makes one."""

    def check_event(self, stream_id: str, event: Event) -> None:
        """InvalidEventError: the event is not to be appended. It keeps the store's own rules already."""

    def check_table(self, events: pa.Table) -> None:
        """InvalidEventError: some rows are not to be appended, so none is. Columns of `schema.GIVEN`, all of them, in the log's types."""


def check_contract(contract: Contract | None) -> None:
    """When a store is opened, not when first something is appended. InvalidEventError: it is none, such as `types` instead of `types.contract()`."""
    if contract is not None and not (hasattr(contract, "check_event") and hasattr(contract, "check_table")):
        raise InvalidEventError("contract", contract, "has no check_event and check_table", "give types.contract(), or an object with these methods")
