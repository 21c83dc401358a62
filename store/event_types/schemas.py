"""The JSON schemas of classes: all references resolved, all titles dropped, and told apart what msgspec and Pydantic leave alike.

Both would let a date and time pass for any string in places, or a decimal: then neither the columns nor the check of
compatibility could tell them apart. The type hints can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

Schema = dict[str, Any]

_DEFS: Final = "#/$defs/"
_PROSE: Final = ("title", "description", "discriminator", "examples", "$defs")


def msgspec_schema(cls: type) -> Schema:
    """Of a dataclass or Struct. TypeError: a field's type is not for JSON."""
    schema = msgspec.json.schema(cls)
    definitions: dict[str, Schema] = schema.get("$defs", {})
    _Marks(definitions).mark(schema, inspect.type_info(cls))
    return dict(resolved(schema, definitions))


def model_schema(cls: Any) -> Schema:
    """Of a Pydantic model, as it is written: by alias, without computed fields."""
    schema: Schema = cls.model_json_schema(mode="serialization", by_alias=True)
    definitions: dict[str, Schema] = schema.get("$defs", {})
    _Marks(definitions).mark(schema, inspect.type_info(cls))
    return dict(resolved(schema, definitions))


def resolved(schema: Any, definitions: Mapping[str, Schema], within: tuple[str, ...] = ()) -> Any:
    """The schema with its references replaced. A reference to what it stands in stays: the class holds itself."""
    if isinstance(schema, list):
        return [resolved(inner, definitions, within) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    beside = {key: _resolved_member(key, inner, definitions, within) for key, inner in schema.items() if key not in (*_PROSE, "$ref")}
    if (reference := schema.get("$ref")) is None:
        return beside
    name = reference.removeprefix(_DEFS)
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
    if "anyOf" not in schema:
        return [schema]
    return [option for inner in schema["anyOf"] for option in options(inner)]


class _Marks:
    """Writes into a schema what the type hints know better."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._seen: set[Any] = set()

    def mark(self, schema: Schema, kind: inspect.Type) -> None:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(_DEFS)]
        match kind:
            case inspect.Metadata(type=inner):
                self.mark(schema, inner)
            case inspect.DateTimeType(tz=zone):
                schema.setdefault("format", "local-date-time" if zone is False else "date-time")
            case inspect.TimeType():
                schema.setdefault("format", "time")
            case inspect.DecimalType():
                schema.setdefault("format", "decimal")
            case inspect.UnionType(types=types):
                self._mark_union(options(schema), types)
            case inspect.TupleType(item_types=types):
                for inner_schema, inner in zip(schema.get("prefixItems", ()), types, strict=False):
                    self.mark(inner_schema, inner)
            case inspect.CollectionType(item_type=inner) if isinstance(schema.get("items"), dict):
                self.mark(schema["items"], inner)
            case inspect.DictType(value_type=inner) if isinstance(schema.get("additionalProperties"), dict):
                self.mark(schema["additionalProperties"], inner)
            case inspect.StructType(cls=cls) | inspect.DataclassType(cls=cls) | inspect.CustomType(cls=cls) if cls not in self._seen:
                self._seen.add(cls)
                self._mark_fields(schema, kind)

    def _mark_fields(self, schema: Schema, kind: inspect.Type) -> None:
        if not isinstance(kind, inspect.CustomType):
            for field in kind.fields:  # type: ignore[attr-defined]
                if field.encode_name in schema.get("properties", {}):
                    self.mark(schema["properties"][field.encode_name], field.type)
            return
        fields = {written_name(name, info): info for name, info in getattr(kind.cls, "model_fields", {}).items()}
        if not fields or "properties" not in schema:
            return
        # Computed fields are written, but never read.
        schema["properties"] = {name: inner for name, inner in schema["properties"].items() if name in fields}
        schema["required"] = [name for name in schema.get("required", ()) if name in fields]
        for name, inner in schema["properties"].items():
            self.mark(inner, inspect.type_info(fields[name].annotation))

    def _mark_union(self, choices: list[Schema], types: tuple[inspect.Type, ...]) -> None:
        """A union holds one member at most that is a string in JSON, one array, one map; its classes stand in order."""
        kinds = [kind.type if isinstance(kind, inspect.Metadata) else kind for kind in types]
        for json_type, among in _JSON_TYPES.items():
            members = [choice for choice in choices if choice.get("type") == json_type]
            for choice, kind in zip(members, [kind for kind in kinds if isinstance(kind, among)], strict=False):
                self.mark(choice, kind)
        classes = [kind for kind in kinds if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.CustomType)]
        references = [choice for choice in choices if "$ref" in choice and "properties" in self._definitions[choice["$ref"].removeprefix(_DEFS)]]
        for choice, kind in zip(references, classes, strict=False):
            self.mark(choice, kind)


def written_name(name: str, info: Any) -> str:
    """What a Pydantic field is called in JSON."""
    return str(info.serialization_alias or info.alias or name)


_JSON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (inspect.DateTimeType, inspect.TimeType, inspect.DecimalType),
    "array": (inspect.CollectionType, inspect.TupleType),
    "object": (inspect.DictType,),
}
