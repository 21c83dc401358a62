"""What kind of table it is: its columns, how its files are cut, what other writers must know. Everything that a table's commit 0 says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa

from store.tables.publishing import FEATURE
from store.tables.shape import NewerFormatError, NotOursError, text, whole

STATISTICS_OF: Final = "delta.dataSkippingStatsColumns"
"""Names the columns that have bounds. Without it deltalake takes bounds that are not told for null, and a filter by Arrow on any other column
silently finds no rows."""
_PRIMITIVES: Final = {
    pa.bool_(): "boolean", pa.int32(): "integer", pa.int64(): "long", pa.float64(): "double", pa.string(): "string", pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
}  # fmt: skip


class Identity(NamedTuple):
    """What tells one table from another of the same kind. `marks`: what its writers said of it beside the layout, in its configuration."""

    table_id: str
    created_ms: int
    marks: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Layout:
    """Two tables of one layout differ by their `Identity` and their rows alone.

    `schema`: the columns in the files. `partition`: the column that is in their paths instead, a string; None for none.
    `bounded`: the columns, whole numbers or strings, whose least and greatest value a commit says of each file.
    `features`: the writer features; with `alluvium` among them nobody but us can write, and a commit of others is refused.
    `parquet`: how files are encoded, in pyarrow's words.
    """

    name: str
    description: str
    schema: pa.Schema
    partition: str | None
    bounded: tuple[str, ...]
    features: tuple[str, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    parquet: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ours_alone(self) -> bool:
        return FEATURE in self.features

    def protocol(self) -> dict[str, Any]:
        if not self.features:
            return {"minReaderVersion": 1, "minWriterVersion": 2}
        return {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": list(self.features)}

    def metadata(self, identity: Identity) -> dict[str, Any]:
        return {
            "id": identity.table_id,
            "name": self.name,
            "description": self.description,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": orjson.dumps(self._delta_schema()).decode(),
            "partitionColumns": [] if self.partition is None else [self.partition],
            "configuration": {**identity.marks, **self.configuration, STATISTICS_OF: statistics_of(self.bounded)},
            "createdTime": identity.created_ms,
        }

    def check_protocol(self, protocol: Mapping[str, Any]) -> None:
        """NotOursError: the table is of another kind, or needs what we do not write."""
        features = set(protocol.get("writerFeatures") or ()) | set(protocol.get("readerFeatures") or ())
        if features != set(self.features) or protocol["minReaderVersion"] != 1 or protocol["minWriterVersion"] != self.protocol()["minWriterVersion"]:
            versions = f"reader {protocol['minReaderVersion']}, writer {protocol['minWriterVersion']}"
            raise NotOursError(f"its protocol is {versions} with features {sorted(features)}: {self.name} has {self.protocol()}")

    def identity_of(self, metadata: Mapping[str, Any]) -> Identity:
        """The table that this metadata is of; NotOursError unless it is of this layout."""
        configuration = dict(metadata.get("configuration") or {})
        for name, value in self.configuration.items():
            found = str(configuration.get(name))
            if name.startswith(f"{FEATURE}.") and found != value:
                newer = found.isdecimal() and value.isdecimal() and int(found) > int(value)
                raise (NewerFormatError if newer else NotOursError)(f"its {name} is {found!r}, this store writes {value!r}")
        partitions = [] if self.partition is None else [self.partition]
        if orjson.loads(metadata["schemaString"]) != self._delta_schema() or list(metadata["partitionColumns"]) != partitions:
            raise NotOursError(f"its columns are {_told(metadata['schemaString'])}, and those of {self.name} are {_told(self._delta_schema())}")
        marks = {text(name): text(value) for name, value in configuration.items() if name not in (*self.configuration, STATISTICS_OF)}
        return Identity(text(metadata["id"]), whole(metadata.get("createdTime")), marks)

    def _delta_schema(self) -> dict[str, Any]:
        columns = [_column(f.name, _delta_type(f.type), f.nullable) for f in self.schema]
        return {"type": "struct", "fields": columns if self.partition is None else [*columns, _column(self.partition, "string", nullable=False)]}


def statistics_of(bounded: Iterable[str]) -> str:
    """Names quoted as Delta reads them, since a user's column may hold a comma or a dot."""
    return ",".join(name if name.isidentifier() else "`{}`".format(name.replace("`", "``")) for name in bounded)


def _told(schema: Any) -> str:
    fields = orjson.loads(schema)["fields"] if isinstance(schema, str) else schema["fields"]
    return ", ".join(f"{field['name']} {field['type'] if isinstance(field['type'], str) else field['type']['type']}" for field in fields)


def _column(name: str, kind: Any, nullable: bool) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}


def _delta_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _delta_type(kind.value_type), "containsNull": kind.value_field.nullable}
    if pa.types.is_struct(kind):
        return {"type": "struct", "fields": [_column(f.name, _delta_type(f.type), f.nullable) for f in kind]}
    if pa.types.is_decimal128(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if kind not in _PRIMITIVES:
        raise ValueError(f"a Delta column cannot be of type {kind}: use one of {', '.join(map(str, _PRIMITIVES))}, a decimal, a list or a struct")
    return _PRIMITIVES[kind]
