"""Which fields of an event tell something of a person, and of whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from store.errors import EventTypesError
from store.privacy.token import DEFAULT, redacted_part

Part = Mapping[str, "Part | str"]
"""The personal fields below an object, by name: objects with such fields, or what a token says of its redacted value."""


@dataclass(frozen=True, slots=True, init=False)
class Personal:
    """Fields of an event's data that are encrypted by the key of the subject that they tell of.

        EventType("CustomerRegistered", CustomerRegistered, personal=Personal({"name": "[forgotten]", "born": None}, subject="customer_id"))

    `fields`: paths, dotted through nested objects, each with the value that readers get who lack the key; a list of paths, where
    "[redacted]" will do. Whatever stands at a path is encrypted as a whole, an object or a list, too; null stays null. None at all, where no
    field of that version is personal. `subject`: the path of the field that names the subject, a string or a whole number; None: the stream's
    id does.

    `textless`: paths whose class takes no text; `EventTypes` find out.
    """

    fields: Mapping[str, Any]
    subject: str | None
    textless: frozenset[str]
    parts: Part

    def __init__(self, fields: Mapping[str, Any] | Sequence[str], subject: str | None = None, *, textless: frozenset[str] = frozenset()) -> None:
        """EventTypesError: a path is none, or lies within another one, or the subject's does."""
        if isinstance(fields, str) or not isinstance(fields, Mapping | Sequence):
            raise EventTypesError(f"personal fields {fields!r}", "are no paths", "give a list of paths, or a dict of them with redacted values")
        said = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, DEFAULT)
        for path in (*said, *([] if subject is None else [subject])):
            if not isinstance(path, str) or not all(path.split(".")):
                remedy = "write names of fields with dots between them, such as address.street"
                raise EventTypesError(f"personal field {path!r}", "is no path", remedy)
        object.__setattr__(self, "fields", said)
        object.__setattr__(self, "subject", subject)
        object.__setattr__(self, "textless", textless)
        object.__setattr__(self, "parts", _parts(said, textless))
        if subject is not None and (outer := next((path for path in said if f"{subject}.".startswith(f"{path}.")), None)) is not None:
            raise EventTypesError(f"personal field {outer!r}", "is or holds the subject", "let an id name the subject that tells nothing by itself")

    def __hash__(self) -> int:
        return hash((tuple(self.fields), self.subject))


def _parts(fields: Mapping[str, Any], textless: frozenset[str]) -> Part:
    parts: dict[str, Any] = {}
    for path, stand_in in fields.items():
        *above, name = path.split(".")
        part = parts
        for outer in above:
            part = part.setdefault(outer, {})
            if not isinstance(part, dict):
                raise _within(path)
        if name in part:
            raise _within(path)
        part[name] = redacted_part(stand_in, path not in textless)
    return parts


def _within(path: str) -> EventTypesError:
    return EventTypesError(f"personal field {path!r}", "lies within another one, or holds one", "name the outer one alone, or the inner ones")
