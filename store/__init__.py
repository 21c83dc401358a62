"""Alluvium's event store: streams with optimistic concurrency, in one totally ordered log of open Delta files.

    with open_store("./warehouse", create=True) as store:
        store.append("aircraft-N14228", [Event("Departed", {"from": "EWR"})], expected_version=NO_STREAM)
        store.sql("select type, count(*) from events group by all")
"""

from store.access import Access, check_access
from store.append import Append, Appended, TableAppended
from store.audit.audit import Audit
from store.audit.checking import ErasedSince, Proof
from store.audit.head import PublishedHead
from store.backups import backup, restore
from store.bill import Prices, Requests, Usage, requests_for
from store.contract import Contract
from store.correlation import caused_by, correlated
from store.deciding.aggregate import Aggregate, Loaded
from store.deciding.boundary import Boundary, Matched
from store.deciding.decision import Transacted
from store.deciding.history import Evolved, History, differences, evolve_each
from store.deciding.interval import Interval, recommend_interval
from store.deciding.reconstruction import load_all, load_many
from store.deciding.saving import Disagreement, rebuild_snapshots, snapshot, snapshot_due, verify_snapshots
from store.deciding.scenario import given, given_many, given_query
from store.deciding.snapshot_policy import SnapshotPolicy
from store.deciding.verbs import history, load, load_as_of, load_at, load_query, transact, transact_many, transact_query
from store.deeds import UNKNOWN, Deed
from store.delta.copying.backup import Copied
from store.delta.upkeep import Maintained
from store.delta.verifying.repair import Repaired
from store.display import Cell, Display, Mark, printable
from store.erasing.erasure import Erasure
from store.erasing.erasure_report import ErasureReport, Remnant, RewrittenLog
from store.erasing.past_erasures import PastErasure, past_erasures
from store.erasing.reapplying import reapply
from store.erasing.remnants import BACKUPS, READ_MODELS
from store.errors import (
    AccessDeniedError,
    ClockSkewError,
    ConditionFailedError,
    Conflict,
    ContentionError,
    CrossLogError,
    DuplicateEventError,
    EventTypesError,
    IncompatibleTypesError,
    InvalidEventError,
    LogSealedError,
    NestedDecisionError,
    NewerTableError,
    OutcomeUnknownError,
    QueryRefusedError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
    StoreError,
    StreamEndedError,
    TableMovedError,
    TableRefusedError,
    UnknownEventTypeError,
    UnreadableEventError,
    WrongExpectedVersionError,
)
from store.event import Event, RecordedEvent
from store.event_store import AsOf, EventStore, Subscription
from store.event_types.catalogue import Catalogue
from store.event_types.compatibility import Incompatibility, check_compatible, incompatibilities
from store.event_types.erased_event import ErasedEvent
from store.event_types.event_type import EventType
from store.event_types.event_types import EventTypes
from store.event_types.raw_event import RawEvent
from store.event_types.step import Rename, Split, Upcast
from store.expected import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from store.finding import Finding, Verified
from store.grants.grant import EVERY, Grant
from store.husk import erasure_of, without_husks
from store.json_lines import JsonLines
from store.keyed.keyed_table import KeyedTable, is_table
from store.keyed.keyed_turn import KeyedTurn
from store.keyed.keys import rows_with, rows_without
from store.live_log import LiveLog, live_log
from store.live_sql import live_mark, live_view
from store.log_size import LogSize
from store.logs.logs import Logs, table_parts
from store.macros import granted_macros
from store.memory import MemoryEventStore
from store.observer import (
    Checkpointed,
    Circuit,
    Cleaned,
    Committed,
    Compacted,
    Decided,
    Failed,
    Guarded,
    LoggingObserver,
    Measurement,
    Observer,
    Reconstructed,
    Recorder,
    Refused,
    Retried,
    SnapshotIgnored,
    Snapshotted,
    Vacuumed,
)
from store.open import delta_rows, delta_table, open_logs, open_store, storage_options
from store.privacy.confidant import Confidant
from store.privacy.key import Key, KeyId, Keys
from store.privacy.key_table import KeysStatus, KeyTable
from store.privacy.memory_keys import MemoryKeys
from store.privacy.personal import Personal
from store.privacy.privacy import Privacy
from store.privacy.wrapping import MASTER_KEY_BYTES
from store.query import Query
from store.retention.removal import Removed
from store.retention.retention import Retention
from store.retention.rule import Rule
from store.retention.terms import Held
from store.schema import EVENTS
from store.shard import shard_of
from store.snapshots.snapshot import SNAPSHOTS, Snapshot
from store.snapshots.snapshots import Snapshots
from store.sql import Tables, asked_for
from store.sql_guard import SqlLimits
from store.storage.breaker import Breaker
from store.tables.files import File
from store.timeline import Timeline, span
from store.tracing.traces import Trace, check_values, traces
from store.verifying import repair, verify

__all__ = [
    "ANY",
    "BACKUPS",
    "EVENTS",
    "EVERY",
    "MASTER_KEY_BYTES",
    "NO_STREAM",
    "READ_MODELS",
    "SNAPSHOTS",
    "STREAM_EXISTS",
    "UNKNOWN",
    "Access",
    "AccessDeniedError",
    "Aggregate",
    "Append",
    "Appended",
    "AsOf",
    "Audit",
    "Boundary",
    "Breaker",
    "Catalogue",
    "Cell",
    "Checkpointed",
    "Circuit",
    "Cleaned",
    "ClockSkewError",
    "Committed",
    "Compacted",
    "ConditionFailedError",
    "Confidant",
    "Conflict",
    "ContentionError",
    "Contract",
    "Copied",
    "CrossLogError",
    "Decided",
    "Deed",
    "Disagreement",
    "Display",
    "DuplicateEventError",
    "ErasedEvent",
    "ErasedSince",
    "Erasure",
    "ErasureReport",
    "Event",
    "EventStore",
    "EventType",
    "EventTypes",
    "EventTypesError",
    "Evolved",
    "ExpectedVersion",
    "Failed",
    "File",
    "Finding",
    "Grant",
    "Guarded",
    "Held",
    "History",
    "Incompatibility",
    "IncompatibleTypesError",
    "Interval",
    "InvalidEventError",
    "JsonLines",
    "Key",
    "KeyId",
    "KeyTable",
    "KeyedTable",
    "KeyedTurn",
    "Keys",
    "KeysStatus",
    "LiveLog",
    "Loaded",
    "LogSealedError",
    "LogSize",
    "LoggingObserver",
    "Logs",
    "Maintained",
    "Mark",
    "Matched",
    "Measurement",
    "MemoryEventStore",
    "MemoryKeys",
    "NestedDecisionError",
    "NewerTableError",
    "Observer",
    "OutcomeUnknownError",
    "PastErasure",
    "Personal",
    "Prices",
    "Privacy",
    "Proof",
    "PublishedHead",
    "Query",
    "QueryRefusedError",
    "RawEvent",
    "Reconstructed",
    "RecordedEvent",
    "Recorder",
    "Refused",
    "Remnant",
    "Removed",
    "Rename",
    "Repaired",
    "Requests",
    "Retention",
    "Retried",
    "RewrittenLog",
    "Rule",
    "Snapshot",
    "SnapshotIgnored",
    "SnapshotPolicy",
    "Snapshots",
    "Snapshotted",
    "Split",
    "SqlLimits",
    "StorageError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StoreError",
    "StreamEndedError",
    "Subscription",
    "TableAppended",
    "TableMovedError",
    "TableRefusedError",
    "Tables",
    "Timeline",
    "Trace",
    "Transacted",
    "UnknownEventTypeError",
    "UnreadableEventError",
    "Upcast",
    "Usage",
    "Vacuumed",
    "Verified",
    "WrongExpectedVersionError",
    "asked_for",
    "backup",
    "caused_by",
    "check_access",
    "check_compatible",
    "check_values",
    "correlated",
    "delta_rows",
    "delta_table",
    "differences",
    "erasure_of",
    "evolve_each",
    "given",
    "given_many",
    "given_query",
    "granted_macros",
    "history",
    "incompatibilities",
    "is_table",
    "live_log",
    "live_mark",
    "live_view",
    "load",
    "load_all",
    "load_as_of",
    "load_at",
    "load_many",
    "load_query",
    "open_logs",
    "open_store",
    "past_erasures",
    "printable",
    "reapply",
    "rebuild_snapshots",
    "recommend_interval",
    "repair",
    "requests_for",
    "restore",
    "rows_with",
    "rows_without",
    "shard_of",
    "snapshot",
    "snapshot_due",
    "span",
    "storage_options",
    "table_parts",
    "traces",
    "transact",
    "transact_many",
    "transact_query",
    "verify",
    "verify_snapshots",
    "without_husks",
]
