"""JSON schemas as plain dicts: what stands where in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

DEFS: Final = "#/$defs/"
ZONED: Final = "zoned"
"""A keyword of our own, beside `format`: a time without a zone is refused."""

_PROSE: Final = ("title", "description", "discriminator", "examples", "$defs")


def resolved(schema: Any, definitions: Mapping[str, Schema], within: tuple[str, ...] = ()) -> Any:
    """The schema with its references replaced. A reference to what it stands in stays: the class holds itself."""
    if isinstance(schema, list):
        return [resolved(inner, definitions, within) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    beside = {key: _resolved_member(key, inner, definitions, within) for key, inner in schema.items() if key not in (*_PROSE, "$ref")}
    if (reference := schema.get("$ref")) is None:
        return beside
    name = reference.removeprefix(DEFS)
    if name in within:
        return {"$ref": name, **beside}
    return {**resolved(definitions[name], definitions, (*within, name)), **beside}


def _resolved_member(key: str, inner: Any, definitions: Mapping[str, Schema], within: tuple[str, ...]) -> Any:
    match key:
        case "default" | "enum" | "const":         # values, not schemas
            return inner
        case "properties":                         # names, of which one may be `title`
            return {name: resolved(schema, definitions, within) for name, schema in inner.items()}
        case _:
            return resolved(inner, definitions, within)


def options(schema: Schema) -> list[Schema]:
    """The alternatives of a union, nested ones too; the schema itself if it is none."""
    union = schema.get("anyOf") or schema.get("oneOf")       # Pydantic's word where a field tells the classes apart
    return [schema] if union is None else [option for inner in union for option in options(inner)]


def name_schema(names: Schema) -> Schema:
    """Of what stands in `propertyNames`, where it goes without saying that names are strings."""
    return {"type": "string", **names}
