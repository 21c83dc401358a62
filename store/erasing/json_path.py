"""Places in JSON text, such as `$.customer.email` or `passengers[*].name`, and other values put there; the rest stays as it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from store.errors import InvalidEventError
from store.event_types.codec import encode_any

Path = tuple[str | int, ...]
"""Keys and places in lists, from the outside in."""

_ITEMS: Final = "\0every item"
"""As a step: of each item of a list. No key that can be given is called so."""
_STEP: Final = re.compile(r'\.?(?:"((?:[^"\\]|\\.)+)"|([^.\[\]"*]+))|\[(\d+|\*)\]')
_REMEDY: Final = "give keys joined by dots, and [n] or [*] for items of lists, such as customer.email or passengers[*].name"


def parse(path: object) -> Path:
    """InvalidEventError: it is no path."""
    if not isinstance(path, str):
        raise InvalidEventError("path", path, "is not a str", _REMEDY)
    text = path[1:] if path.startswith(("$.", "$[")) else path
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise InvalidEventError("path", path, "is no path in JSON", _REMEDY)
        quoted, plain, item = found.groups()
        steps.append(int(item) if item and item != "*" else _key(quoted, plain, item))
        at = found.end()
    if not steps or not isinstance(steps[0], str) or steps[0] == _ITEMS:
        raise InvalidEventError("path", path, "names no key of the data", _REMEDY)
    return tuple(steps)


def _key(quoted: str | None, plain: str | None, item: str | None) -> str:
    if item is not None:
        return _ITEMS
    return msgspec.json.decode(f'"{quoted}"'.encode(), type=str) if quoted is not None else str(plain)


def sql_path(path: Path) -> str:
    """As DuckDB is given it."""
    steps = (f"[{step}]" if isinstance(step, int) else "[*]" if step == _ITEMS else "." + msgspec.json.encode(step).decode() for step in path)
    return "$" + "".join(steps)


def encoded(value: Any) -> bytes:
    """What stands in the place of a value. InvalidEventError: it is not JSON."""
    return encode_any(value, "give what JSON can hold: null, a string, a number, a list, a dict")


def replaced(text: str, values: Sequence[tuple[Path, bytes]]) -> str:
    """The JSON object with these values put at these places, as far as there are such; the same text if there is none, or all are so already."""
    changed = before = msgspec.Raw(text.encode())
    for path, value in values:
        changed = _put(changed, path, msgspec.Raw(value))
    return text if changed is before else bytes(changed).decode()


def _put(raw: msgspec.Raw, path: Path, value: msgspec.Raw) -> msgspec.Raw:
    """The very same, if it has no such place."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int) or step == _ITEMS:
        items = _decoded(raw, list[msgspec.Raw])
        chosen = range(len(items)) if step == _ITEMS else [step] if int(step) < len(items) else []
        put = {place: _put(items[place], rest, value) for place in chosen}
        if all(after is items[place] for place, after in put.items()):
            return raw
        return msgspec.Raw(msgspec.json.encode([put.get(place, item) for place, item in enumerate(items)]))
    fields = _decoded(raw, dict[str, msgspec.Raw])
    if step not in fields or (after := _put(fields[step], rest, value)) is fields[step]:
        return raw
    return msgspec.Raw(msgspec.json.encode(dict(fields) | {step: after}))


def _decoded(raw: msgspec.Raw, kind: Any) -> Any:
    """Empty, if it is of another kind."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return kind()


def parsed(fields: Mapping[str, Any]) -> list[tuple[Path, bytes]]:
    """The values by their places. InvalidEventError: one is no path, or not JSON."""
    if not isinstance(fields, Mapping) or not fields:
        raise InvalidEventError("fields", fields, "are no mapping of paths to values", 'give such as {"customer.email": None}')
    return [(parse(path), encoded(value)) for path, value in fields.items()]
