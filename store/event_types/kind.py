"""A field's JSON schema, said in a few words: `integer`, `string (date-time) | null`, `list of {number: integer, letter?: string}`."""

from __future__ import annotations

from typing import Final

import msgspec

from store.event_types.schemas import ZONED, Schema, name_schema, options

_LIMITS: Final = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    ZONED: "with a zone",
    "multipleOf": "multiple of {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "pattern": "like {}",
}


def kind(schema: Schema) -> str:
    """What a value of this schema is."""
    return " | ".join(dict.fromkeys(_kind(option) for option in options(schema)))


def _kind(schema: Schema) -> str:
    if (values := schema.get("enum", [schema["const"]] if "const" in schema else None)) is not None:
        return " | ".join(msgspec.json.encode(value).decode() for value in values)
    if "$ref" in schema:
        return str(schema["$ref"])
    match schema.get("type"):
        case "array":
            return _limited(_of_array(schema), schema)
        case "object" if "properties" in schema:
            required = schema.get("required", ())
            members = (f"{name}{'' if name in required else '?'}: {kind(member)}" for name, member in schema["properties"].items())
            return f"{{{', '.join(members)}}}"
        case "object":
            return _of_map(schema)
        case None:
            return "any"
        case simple:
            form = schema.get("format") or schema.get("contentEncoding")
            return _limited(f"{simple} ({form})" if form else str(simple), schema)


def _of_array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(kind(item) for item in schema['prefixItems'])}]"
    items = schema.get("items")
    return f"{'set' if schema.get('uniqueItems') else 'list'} of {_grouped(items)}" if isinstance(items, dict) else "list"


def _of_map(schema: Schema) -> str:
    values, names = schema.get("additionalProperties"), schema.get("propertyNames")
    said = f"map of {_grouped(values)}" if isinstance(values, dict) else "map"
    return f"{said} by {_grouped(name_schema(names))}" if names else said


def _grouped(schema: Schema) -> str:
    said = kind(schema)
    return f"({said})" if " | " in said else said


def _limited(said: str, schema: Schema) -> str:
    if "prefixItems" in schema:
        return said
    limits = ", ".join(words.format(schema[name]) for name, words in _LIMITS.items() if name in schema)
    return f"{said}, {limits}" if limits else said
