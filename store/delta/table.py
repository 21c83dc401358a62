"""What makes a Delta table our log: its protocol, its metadata, and the refusal of every other one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from store.schema import EVENTS
from store.tables.layout import STATISTICS_OF, statistics_of
from store.tables.publishing import FEATURE as FEATURE
from store.tables.shape import NotOursError as NotOursError

FORMAT: Final = "1"
LOGS: Final = "alluvium.logs"
BOUNDED: Final = ("position", "version", "stream_id", "type", "occurred_at", "recorded_at")
"""The columns whose least and greatest value a commit says of each file."""

_DELTA_TYPES: Final = {"int64": "long", "int32": "integer", "string": "string", "timestamp[us, tz=UTC]": "timestamp"}


class Table(NamedTuple):
    """What tells one log from another; all else that a table says of itself is the same for each."""

    table_id: str
    created_ms: int
    logs: tuple[str, ...] = ()
    """The logs that go on where this one is sealed: it takes no more events."""

    def protocol(self) -> dict[str, Any]:
        return {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": [FEATURE]}

    def metadata(self) -> dict[str, Any]:
        return {
            "id": self.table_id,
            "name": "events",
            "description": "The event log of an Alluvium warehouse: one row an event, in total order by position.",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": orjson.dumps(_delta_schema()).decode(),
            "partitionColumns": ["shard"],
            "configuration": {
                "alluvium.format": FORMAT,
                **({LOGS: ",".join(self.logs)} if self.logs else {}),
                # Foreign clean-up must not outrun our own: we say when log files and replaced files go.
                "delta.enableExpiredLogCleanup": "false",
                "delta.logRetentionDuration": "interval 1 hours",
                "delta.deletedFileRetentionDuration": "interval 1 hours",
                STATISTICS_OF: statistics_of(BOUNDED),
            },
            "createdTime": self.created_ms,
        }


def check_protocol(protocol: Mapping[str, Any]) -> None:
    features = set(protocol.get("writerFeatures") or ()) | set(protocol.get("readerFeatures") or ())
    if FEATURE not in features:
        needs = ", ".join(sorted(features)) or "none"
        raise NotOursError(f"the table lacks the writer feature 'alluvium', so it is no Alluvium log (its features: {needs})")
    if features != {FEATURE} or protocol["minReaderVersion"] != 1 or protocol["minWriterVersion"] != 7:
        extra = ", ".join(sorted(features - {FEATURE})) or f"reader {protocol['minReaderVersion']}, writer {protocol['minWriterVersion']}"
        raise NotOursError(f"the table needs Delta features that this store does not write: {extra}")


def table_of(metadata: Mapping[str, Any]) -> Table:
    """The table that this metadata is of; NotOursError unless it is an event log in our format."""
    configuration = dict(metadata.get("configuration") or {})
    if configuration.get("alluvium.format") != FORMAT:
        raise NotOursError(f"the log has format {configuration.get('alluvium.format')!r}, this store writes format {FORMAT!r}")
    if orjson.loads(metadata["schemaString"]) != _delta_schema() or list(metadata["partitionColumns"]) != ["shard"]:
        raise NotOursError("the table's columns are not those of an event log")
    table_id, created_ms = metadata["id"], metadata.get("createdTime")
    if type(table_id) is not str or type(created_ms) is not int or not 0 <= created_ms < 2**63:
        raise NotOursError(f"the table's id is {table_id!r} and it was made at {created_ms!r}, which is no id or no time")
    return Table(table_id, created_ms, tuple(filter(None, str(configuration.get(LOGS, "")).split(","))))


def _delta_schema() -> dict[str, Any]:
    def column(name: str, kind: Any, nullable: bool) -> dict[str, Any]:
        return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}

    tags = {"type": "array", "elementType": "string", "containsNull": False}
    columns = [column(f.name, _DELTA_TYPES.get(str(f.type), tags), f.nullable) for f in EVENTS]
    return {"type": "struct", "fields": [*columns, column("shard", "string", nullable=False)]}
