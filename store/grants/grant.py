"""What somebody may see in SQL: of which streams, which columns and fields, and which other tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

from store.errors import InvalidEventError
from store.schema import EVENTS

EVERY: Final = "*"
"""Stands for all there are, now and later."""
PLACE: Final = ("position", "stream_id", "version", "event_id", "type", "schema_version", "occurred_at", "recorded_at")
"""Where an event stands and what it is: nothing that an application has written into it."""

Names = Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Of the log the events of these streams that are of these types, in these columns. Nothing else exists for who has it, and `Grant()` is nothing.

    `categories`, `streams`: events of any of them; EVERY ("*") is all but the store's own, whose ids begin with `$` and which must be named.
    `types`: of these alone; all of them unless it is given. `columns`: of the log; where an event stands and what it is (PLACE) unless given.

    `data`: what of the payloads. EVERY: all. Fields by type: `{"OrderPlaced": ("amount", "currency"), "OrderPaid": EVERY}`; EVERY as a type stands
    for the others; of a type that is not there, no field. Fields are those at the top of the JSON, in the shape that is stored. Not given: there
    is no column `data`.

    `tables`: beside the log, by name, the columns of each or EVERY: read models, typed tables, `snapshots`, `dead_letters`. One that has a column
    `stream_id` shows the rows of the granted streams; any other is shown whole.

    InvalidEventError: a field is no such thing. A name that nothing has is none: it grants what may come to have it.
    """

    categories: Names = ()
    streams: Names = ()
    types: Names = (EVERY,)
    columns: Names = PLACE
    data: Mapping[str, Names | Literal["*"]] | Literal["*"] = field(default_factory=dict)
    tables: Mapping[str, Names | Literal["*"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("categories", "streams", "types", "columns"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        for category in self.categories:
            if "-" in category:
                raise InvalidEventError("categories", category, "is no category", "give what stands before the first - of stream ids")
        allowed = [name for name in EVENTS.names if name != "data"]
        for column in self.columns:
            if column not in allowed:
                remedy = "say what of the payload by `data`" if column == "data" else f"give some of {', '.join(allowed)}"
                raise InvalidEventError("columns", column, "is no column of the log that can be granted so", remedy)
        if self.data != EVERY:
            object.__setattr__(self, "data", _by_name("data", self.data))
        object.__setattr__(self, "tables", _by_name("tables", self.tables))
        for reserved in ("events", "located_events"):
            if reserved in self.tables:
                raise InvalidEventError("tables", reserved, "is the log", "grant it by `categories` or `streams`, and `columns`")

    @property
    def granted_columns(self) -> tuple[str, ...]:
        """Of `events`, in the order of the log."""
        return tuple(name for name in EVENTS.names if name in self.columns or (name == "data" and self.data))

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for grants that grant the same."""
        return tuple(_hashable(getattr(self, one.name)) for one in fields(self))


def _names(field: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) and name for name in given):
        raise InvalidEventError(field, given, "is no list of names", "give a list of str, such as [\"order\"]; \"*\" in it stands for all")
    return tuple(given)


def _by_name(field: str, given: Any) -> dict[str, tuple[str, ...] | str]:
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and name for name in given):
        raise InvalidEventError(field, given, "is no mapping by name", 'give names and what of each, such as {"OrderPlaced": ["amount"]}')
    return {name: EVERY if of == EVERY else _names(f"{field}[{name!r}]", of) for name, of in given.items()}


def _hashable(value: Any) -> object:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else tuple(sorted(value)) if isinstance(value, tuple) else value
