"""An event type: a name in the log, the class that holds its data, and the version of that class's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from store.draft import check_text
from store.errors import EventTypesError, InvalidEventError
from store.limits import MAX_NAME_BYTES
from store.privacy.personal import Personal

E = TypeVar("E")


class Validates(Protocol):
    """A pandera schema or model of the Polars backend."""

    def validate(self, check_obj: Any, *, lazy: bool) -> Any: ...


@dataclass(frozen=True, slots=True)
class EventType(Generic[E]):
    """`cls`: a dataclass, msgspec Struct or Pydantic model, the shape of `schema_version`.

    `first_version`: older ones never existed, so no step is asked of them. `tags`, `occurred_at`: what an event's value says
    of itself; filled in where `EventTypes.event` makes one. `contract`: a pandera schema (Polars) for bulk tables: it sees the
    columns that `EventTypes.plain_columns` gives. `earlier`: classes of older versions, for the catalogue alone. `personal`: what in its data tells
    something of a person; `earlier_personal`: what in that of older versions, of each that is still appended.
    """

    name: str
    cls: type[E]
    schema_version: int = field(default=1, kw_only=True)
    first_version: int = field(default=1, kw_only=True)
    tags: Callable[[E], Iterable[str]] | None = field(default=None, kw_only=True)
    occurred_at: Callable[[E], datetime | None] | None = field(default=None, kw_only=True)
    contract: Validates | None = field(default=None, kw_only=True)
    earlier: Mapping[int, type] = field(default_factory=dict, kw_only=True)
    personal: Personal | None = field(default=None, kw_only=True)
    earlier_personal: Mapping[int, Personal] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        _check_name(self.name)
        _check_version(self.name, "schema_version", self.schema_version)
        _check_version(self.name, "first_version", self.first_version)
        if self.first_version > self.schema_version:
            problem = f"has first_version {self.first_version}, above its schema_version {self.schema_version}"
            raise EventTypesError(f"event type {self.name!r}", problem, "the first version is one that the log may hold")
        _check_callbacks(self)
        _check_personal(self)
        for version in (*self.earlier, *self.earlier_personal):
            if isinstance(version, bool) or not isinstance(version, int) or not self.first_version <= version < self.schema_version:
                versions = f"{self.first_version} to {self.schema_version - 1}" if self.schema_version > self.first_version else "none"
                raise EventTypesError(f"event type {self.name!r}", f"has an earlier version {version!r}", f"its earlier versions are {versions}")


def _check_personal(event_type: EventType[Any]) -> None:
    for said in (event_type.personal, *event_type.earlier_personal.values()):
        if said is not None and not isinstance(said, Personal):
            raise EventTypesError(f"event type {event_type.name!r}", f"has personal {said!r}", 'give Personal(["name", …], subject="…")')


def _check_name(name: object) -> None:
    try:
        check_text("name", name, MAX_NAME_BYTES)
    except InvalidEventError as error:
        raise EventTypesError(f"event type {name!r}", error.problem, error.remedy) from error


def _check_callbacks(event_type: EventType[Any]) -> None:
    for name, given in (("tags", event_type.tags), ("occurred_at", event_type.occurred_at)):
        if given is not None and not callable(given):
            raise EventTypesError(f"event type {event_type.name!r}", f"has {name} {given!r}", "give a function of the event's value")
    if event_type.contract is not None and not hasattr(event_type.contract, "validate"):
        problem = f"has the contract {event_type.contract!r}"
        raise EventTypesError(f"event type {event_type.name!r}", problem, "give a pandera schema or model (pandera.polars)")


def _check_version(name: str, field: str, version: object) -> None:
    if isinstance(version, bool) or not isinstance(version, int) or not 0 < version < 2**31:
        raise EventTypesError(f"event type {name!r}", f"has {field} {version!r}", "count the shapes of its data from 1, as 32-bit ints")
