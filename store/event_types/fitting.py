"""Does everything that is written by one JSON schema fit another? What cannot be shown to fit counts as not fitting."""

from __future__ import annotations

from typing import Any, Final

from store.event_types.schemas import ZONED, Schema, name_schema, options

_KINDS: Final[dict[type, str]] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null", list: "array", dict: "object"}
_LARGEST: Final = (("maximum", "exclusiveMaximum"), ("maxLength",), ("maxItems",), ("maxProperties",))
_SMALLEST: Final = (("minimum", "exclusiveMinimum"), ("minLength",), ("minItems",), ("minProperties",))
_EQUAL: Final = ("format", ZONED, "contentEncoding", "pattern", "multipleOf")


def fits(written: Schema, read: Schema) -> bool:
    """Is every value of `written` one that a reader of `read` takes? Readers overlook fields that they do not know, unless they are closed."""
    if _is_any(read):
        return True
    if _is_any(written):
        return False
    return all(any(_fits(choice, wanted) for wanted in options(read)) for choice in options(written))


def _is_any(schema: Schema) -> bool:
    return not schema.keys() - {"default"}


def _fits(written: Schema, read: Schema) -> bool:
    if _is_any(read):
        return True
    if (values := _values(written)) is not None:
        allowed = _values(read)
        return all(_is_plain(value, read) if allowed is None else _among(value, allowed) for value in values)
    if _values(read) is not None:
        return False
    if "$ref" in written or "$ref" in read:
        return written.get("$ref") == read.get("$ref")
    kinds = (written.get("type"), read.get("type"))
    if kinds[1] is None:                           # words that are not known here
        return written == read
    if kinds[0] != kinds[1] and kinds != ("integer", "number"):
        return False
    if not _within(written, read):
        return False
    match kinds[1]:
        case "array":
            return _items_fit(written, read)
        case "object":
            return _members_fit(written, read)
        case _:
            return True


def _values(schema: Schema) -> list[Any] | None:
    return schema.get("enum", [schema["const"]] if "const" in schema else None)


def _among(value: object, allowed: list[Any]) -> bool:
    return any(value == other and type(value) is type(other) for other in allowed)     # True == 1, but not in JSON


def _is_plain(value: object, read: Schema) -> bool:
    """Is it of that type, when nothing but the type is asked?"""
    return not read.keys() - {"type", "default"} and _fits({"type": _KINDS[type(value)]}, read)


def _within(written: Schema, read: Schema) -> bool:
    """Are the limits of what is read no tighter than those of what is written?"""
    if any(name in read and written.get(name) != read[name] for name in _EQUAL):
        return False
    return all(_reaches(written, read, names, 1) for names in _LARGEST) and all(_reaches(written, read, names, -1) for names in _SMALLEST)


def _reaches(written: Schema, read: Schema, names: tuple[str, ...], sign: int) -> bool:
    """`sign`: 1 for a limit above, -1 for one below. An exclusive limit ends just before its number."""
    wanted, given = ([(sign * schema[name], name != names[-1] or len(names) == 1) for name in names if name in schema] for schema in (read, written))
    return not wanted or (bool(given) and min(given) <= min(wanted))


def _items_fit(written: Schema, read: Schema) -> bool:
    if (wanted := read.get("prefixItems")) is not None:
        given = written.get("prefixItems")
        return given is not None and len(given) == len(wanted) and all(map(fits, given, wanted))
    items = read.get("items", {})
    if "prefixItems" in written:
        return all(fits(item, items) for item in written["prefixItems"])
    return fits(written.get("items", {}), items)


def _members_fit(written: Schema, read: Schema) -> bool:
    members, wanted = written.get("properties"), read.get("properties")
    others = read.get("additionalProperties", {})
    if wanted is None:
        return _map_fits(written, read)
    if members is None:
        return False
    if others is False and members.keys() - wanted.keys():
        return False
    required = set(read.get("required", ()))
    return required <= set(written.get("required", ())) and all(fits(members[name], schema) for name, schema in wanted.items() if name in members)


def _map_fits(written: Schema, read: Schema) -> bool:
    """`read` is a map, `written` one too, or a class: every name fits, and every value."""
    members, others = written.get("properties"), read.get("additionalProperties")
    names = written.get("propertyNames", {}) if members is None else {"enum": list(members)}
    values = [written.get("additionalProperties", {})] if members is None else list(members.values())
    wanted = others if isinstance(others, dict) else {}
    return fits(name_schema(names), name_schema(read.get("propertyNames", {}))) and all(
        fits(value if isinstance(value, dict) else {}, wanted) for value in values
    )
