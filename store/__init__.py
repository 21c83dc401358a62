"""Alluvium's event store: streams with optimistic concurrency, in one totally ordered log of open Delta files.

    with open_store("./warehouse", create=True) as store:
        store.append("aircraft-N14228", [Event("Departed", {"from": "EWR"})], expected_version=NO_STREAM)
        store.sql("select type, count(*) from events group by all")
"""

from store.append import Append, Appended, TableAppended
from store.backups import backup, restore
from store.contract import Contract
from store.correlation import caused_by, correlated
from store.delta.copying.backup import Copied
from store.errors import (
    ClockSkewError,
    ConditionFailedError,
    Conflict,
    DuplicateEventError,
    EventTypesError,
    IncompatibleTypesError,
    InvalidEventError,
    OutcomeUnknownError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
    StoreError,
    TableRefusedError,
    UnreadableEventError,
    WrongExpectedVersionError,
)
from store.event import Event, RecordedEvent
from store.event_store import AsOf, EventStore, Subscription
from store.event_types.catalogue import Catalogue
from store.event_types.compatibility import Incompatibility, check_compatible, incompatibilities
from store.event_types.event_type import EventType
from store.event_types.event_types import EventTypes
from store.event_types.raw_event import RawEvent
from store.event_types.step import Rename, Split, Upcast
from store.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from store.memory import MemoryEventStore
from store.observer import LoggingObserver, Observer
from store.open import open_store, storage_options
from store.query import Query
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
    "Catalogue",
    "ClockSkewError",
    "ConditionFailedError",
    "Conflict",
    "Contract",
    "Copied",
    "DuplicateEventError",
    "Event",
    "EventStore",
    "EventType",
    "EventTypes",
    "EventTypesError",
    "ExpectedVersion",
    "Incompatibility",
    "IncompatibleTypesError",
    "InvalidEventError",
    "LoggingObserver",
    "MemoryEventStore",
    "Observer",
    "OutcomeUnknownError",
    "Query",
    "RawEvent",
    "RecordedEvent",
    "Rename",
    "Snapshot",
    "Snapshots",
    "Split",
    "StorageError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StoreError",
    "Subscription",
    "TableAppended",
    "TableRefusedError",
    "UnreadableEventError",
    "Upcast",
    "WrongExpectedVersionError",
    "backup",
    "caused_by",
    "check_compatible",
    "correlated",
    "incompatibilities",
    "open_store",
    "restore",
    "storage_options",
]
