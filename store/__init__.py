"""Alluvium's event store: streams with optimistic concurrency, in one totally ordered log of open Delta files.

    with open_store("./warehouse", create=True) as store:
        store.append("aircraft-N14228", [Event("Departed", {"from": "EWR"})], expected_version=NO_STREAM)
        store.sql("select type, count(*) from events group by all")
"""

from store.append import Append, Appended, TableAppended
from store.backups import backup, restore
from store.delta.copying.backup import Copied
from store.errors import (
    ClockSkewError,
    Conflict,
    DuplicateEventError,
    InvalidEventError,
    NewerTableError,
    OutcomeUnknownError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
    StoreError,
    TableRefusedError,
    WrongExpectedVersionError,
)
from store.event import Event, RecordedEvent
from store.event_store import AsOf, EventStore, Subscription
from store.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from store.memory import MemoryEventStore
from store.observer import LoggingObserver, Observer
from store.open import open_store, storage_options
from store.snapshots.snapshot import SNAPSHOTS, Snapshot
from store.snapshots.snapshots import Snapshots

__all__ = [
    "ANY",
    "NO_STREAM",
    "SNAPSHOTS",
    "STREAM_EXISTS",
    "Append",
    "Appended",
    "AsOf",
    "ClockSkewError",
    "Conflict",
    "Copied",
    "DuplicateEventError",
    "Event",
    "EventStore",
    "ExpectedVersion",
    "InvalidEventError",
    "LoggingObserver",
    "MemoryEventStore",
    "NewerTableError",
    "Observer",
    "OutcomeUnknownError",
    "RecordedEvent",
    "Snapshot",
    "Snapshots",
    "StorageError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StoreError",
    "Subscription",
    "TableAppended",
    "TableRefusedError",
    "WrongExpectedVersionError",
    "backup",
    "open_store",
    "restore",
    "storage_options",
]
