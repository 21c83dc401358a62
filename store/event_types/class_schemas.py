"""The JSON schemas of classes: all references resolved, all titles dropped, and told apart what msgspec and Pydantic leave alike.

Both would let a date and time pass for any string in places, or a decimal, a time that may lack a zone for one that may not, a map by
numbers for one by any strings: then neither the columns nor the check of compatibility could tell them apart. The type hints can.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect

from store.event_types.hint import bare, hinted
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
        kind = bare(kind)
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
                if names := key_names(bare(key)):
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
            self.mark(inner, hinted(fields[name].annotation))

    def _mark_union(self, choices: list[Schema], types: tuple[inspect.Type, ...]) -> None:
        """The members that are strings in JSON stand in the order of their types, and so do arrays, maps and classes.

        Where Pydantic made one of two alike, they cannot be told apart, and stay as they are.
        """
        kinds = [bare(kind) for kind in types]
        for group, among in _GROUPS.items():
            members = [choice for choice in choices if self._group(choice) == group]
            alike = [kind for kind in kinds if isinstance(kind, among)]
            if len(alike) == len(members):
                for choice, kind in zip(members, alike, strict=True):
                    self.mark(choice, kind)

    def _group(self, choice: Schema) -> str | None:
        """None: it says all of itself, as an enum does."""
        if "$ref" in choice:
            return "class" if "properties" in self._definitions[choice["$ref"].removeprefix(DEFS)] else None
        return None if "enum" in choice or "const" in choice else choice.get("type")


def _time(form: str, local: str, zone: bool | None) -> Schema:
    """`zone`: must it have one? None: it may."""
    if zone is False:
        return {"format": local}
    return {"format": form, ZONED: True} if zone else {"format": form}


def written_name(name: str, info: Any) -> str:
    """What a Pydantic field is called in JSON."""
    return str(info.serialization_alias or info.alias or name)


_GROUPS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (
        inspect.StrType,
        inspect.BytesType,
        inspect.DateTimeType,
        inspect.DateType,
        inspect.TimeType,
        inspect.TimeDeltaType,
        inspect.UUIDType,
        inspect.DecimalType,
    ),
    "array": (inspect.CollectionType, inspect.TupleType),
    "object": (inspect.DictType,),
    "class": (inspect.StructType, inspect.DataclassType, inspect.CustomType),
}
