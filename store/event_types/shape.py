"""What the data of one version of one event type looks like, as far as it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import msgspec

from store.event_types.kind import kind
from store.event_types.schemas import Schema
from store.event_types.step import ShapeName


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`schema`: of its values, without the default. `default`: a JSON value, where one is declared and not made anew each time.

    A number that JSON does not have (infinity, NaN) stands by its name, as the string "inf".
    """

    name: str
    schema: Schema
    required: bool
    default: Any = msgspec.UNSET

    @property
    def kind(self) -> str:
        """Its schema in words."""
        return kind(self.schema)

    @property
    def told_default(self) -> str | None:
        return None if self.default is msgspec.UNSET else msgspec.json.encode(self.default).decode()


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`current`: its class reads it. `reads_as`: the current shapes that its steps lead to; none, if it is current or not read.

    `fields`: None if no class tells of them. `closed`: its class refuses fields that it does not know.
    """

    type: str
    schema_version: int
    current: bool
    reads_as: tuple[ShapeName, ...] = ()
    fields: tuple[Field, ...] | None = None
    closed: bool = False

    @property
    def key(self) -> ShapeName:
        return self.type, self.schema_version

    @property
    def told_reads_as(self) -> str | None:
        return ", ".join(f"{name} {version}" for name, version in self.reads_as) or None

    @property
    def is_read(self) -> bool:
        """By its class, or by steps."""
        return self.current or bool(self.reads_as)


def fields_of(schema: Schema) -> Iterator[Field]:
    """The fields of a class, by its schema, in their order."""
    required = schema.get("required", ())
    for name, member in schema["properties"].items():
        yield _field(name, member, name in required)


def _field(name: str, member: Mapping[str, Any], required: bool) -> Field:
    schema = {key: _plain(value) for key, value in member.items() if key != "default"}
    return Field(name, schema, required, _plain(member["default"]) if "default" in member else msgspec.UNSET)


def _plain(value: Any) -> Any:
    """As it is read again from a file: tuples as lists, names as strings."""
    match value:
        case float() if not isfinite(value):
            return str(value)
        case Mapping():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value
