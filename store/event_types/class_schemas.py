"""The JSON schemas of classes: all references resolved, all titles dropped, and told apart what msgspec and Pydantic leave alike.

Both would let a date and time pass for any string in places, or a decimal, a time that may lack a zone for one that may not, a map by
numbers for one by any strings: then neither the columns nor the check of compatibility could tell them apart. The type hints can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from store.event_types.key_names import key_names
from store.event_types.schemas import DEFS, ZONED, Schema, options, resolved


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


class _Marks:
    """Writes into a schema what the type hints know better."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self._seen: set[Any] = set()

    def mark(self, schema: Schema, kind: inspect.Type) -> None:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix(DEFS)]
        kind = _plain(kind)
        match kind:
            case inspect.DateTimeType(tz=zone):
                schema.update(_time("date-time", "local-date-time", zone))
            case inspect.TimeType(tz=zone):
                schema.update(_time("time", "partial-time", zone))
            case inspect.DecimalType():
                schema.setdefault("format", "decimal")
            case inspect.UnionType(types=types):
                self._mark_union(options(schema), types)
            case inspect.TupleType(item_types=types):
                for inner_schema, inner in zip(schema.get("prefixItems", ()), types, strict=False):
                    self.mark(inner_schema, inner)
            case inspect.CollectionType(item_type=inner) if isinstance(schema.get("items"), dict):
                self.mark(schema["items"], inner)
            case inspect.DictType(key_type=key, value_type=inner):
                if names := key_names(_plain(key)):
                    schema.setdefault("propertyNames", names)
                if isinstance(schema.get("additionalProperties"), dict):
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
        kinds = [_plain(kind) for kind in types]
        for json_type, among in _JSON_TYPES.items():
            members = [choice for choice in choices if choice.get("type") == json_type]
            for choice, kind in zip(members, [kind for kind in kinds if isinstance(kind, among)], strict=False):
                self.mark(choice, kind)
        classes = [kind for kind in kinds if isinstance(kind, inspect.StructType | inspect.DataclassType | inspect.CustomType)]
        references = [choice for choice in choices if "$ref" in choice and "properties" in self._definitions[choice["$ref"].removeprefix(DEFS)]]
        for choice, kind in zip(references, classes, strict=False):
            self.mark(choice, kind)


def _plain(kind: inspect.Type) -> inspect.Type:
    """Without what is no matter here, and Pydantic's kinds of times as msgspec's."""
    if isinstance(kind, inspect.Metadata):
        return _plain(kind.type)
    if isinstance(kind, inspect.CustomType) and kind.cls.__module__ == "pydantic.types":
        return _PYDANTIC_TIMES.get(kind.cls.__name__, kind)
    return kind


def _time(form: str, local: str, zone: bool | None) -> Schema:
    """`zone`: must it have one? None: it may."""
    if zone is False:
        return {"format": local}
    return {"format": form, ZONED: True} if zone else {"format": form}


def written_name(name: str, info: Any) -> str:
    """What a Pydantic field is called in JSON."""
    return str(info.serialization_alias or info.alias or name)


_PYDANTIC_TIMES: Final[Mapping[str, inspect.Type]] = {"AwareDatetime": inspect.DateTimeType(tz=True), "NaiveDatetime": inspect.DateTimeType(tz=False)}
_JSON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (inspect.DateTimeType, inspect.TimeType, inspect.DecimalType),
    "array": (inspect.CollectionType, inspect.TupleType),
    "object": (inspect.DictType,),
}
