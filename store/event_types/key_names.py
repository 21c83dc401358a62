"""The keys of a map as a JSON schema of names: JSON has strings alone for keys, so the generators say nothing of what such a string must tell."""

from __future__ import annotations

from typing import Any, Final

from msgspec import inspect

_FORMATS: Final[dict[type, str]] = {
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.DecimalType: "decimal",
    inspect.DateTimeType: "date-time",
    inspect.DateType: "date",
    inspect.TimeType: "time",
    inspect.TimeDeltaType: "duration",
    inspect.UUIDType: "uuid",
    inspect.BytesType: "base64",
}
_LIMITS: Final = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf"}


def key_names(kind: inspect.Type) -> dict[str, Any]:
    """What `propertyNames` says of keys of this type; nothing if any string will do, and of kinds of strings (the generators tell these)."""
    match kind:
        case inspect.LiteralType(values=values):
            return {"enum": [str(value) for value in values]}
        case inspect.EnumType(cls=cls):
            return {"enum": sorted(str(member.value) for member in cls)}
        case inspect.UnionType(types=types):
            choices = [key_names(inner) for inner in types]
            return {"anyOf": [{"type": "string", **choice} for choice in choices]} if all(choices) else {}
        case _ if (form := _FORMATS.get(type(kind))) is not None:
            limits = {name: getattr(kind, limit, None) for limit, name in _LIMITS.items()}
            return {"format": form} | {name: limit for name, limit in limits.items() if limit is not None}
    return {}
