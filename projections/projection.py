"""A projection as declared data: which events it reads, what its rows look like, and how the ones become the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from projections.errors import DeclarationError, Fault
from projections.forms.form import Form
from projections.forms.held import NAME, SINGLE, is_held
from store import EventTypes


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Rows by `key`, made from events. A wrong declaration raises DeclarationError, with the remedy, when it is made.

    `version`: raise it whenever the rows of old events would come out differently; each version has its own table.
    `columns`: the rows' columns, the key among them. `form`: how events become rows.
    `types`, `categories`: the events it reads (any of each); others are not even fetched. None: all.
    `event_types`: with them it sees every event in its newest shape; `types` are then the names of these, and events that
    were renamed or split are found under their old names.
    `by_stream`: all events that touch a row are of one stream. Then several processes can rebuild it, see `fill_by_shard`.
    """

    name: str
    version: int
    key: tuple[str, ...]
    columns: pa.Schema
    form: Form
    types: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None
    event_types: EventTypes | None = None
    description: str = ""
    by_stream: bool = False

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise DeclarationError(self.name, fault)

    def _faults(self) -> Iterator[Fault]:
        yield from self._faults_of_names()
        yield from self._faults_of_columns()
        yield from self._faults_of_key()
        yield from self.form.faults(self)

    def _faults_of_names(self) -> Iterator[Fault]:
        if not NAME.fullmatch(self.name):
            yield Fault("name", "is no name", "take lower-case letters, digits and underscores; it names a directory and an asset")
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 1:
            yield Fault("version", f"is {self.version!r}", "give an int from 1, and raise it when rows change")
        for field, chosen in (("types", self.types), ("categories", self.categories)):
            if chosen is not None and (isinstance(chosen, str) or not chosen):
                yield Fault(field, f"is {chosen!r}", "give a tuple of one or more names, or None for all events")

        if self.event_types is not None:
            known = [event_type.name for event_type in self.event_types]
            for name in self.types or ():
                if name not in known:
                    remedy = f"take the names of their newest shapes: {', '.join(known)}"
                    yield Fault("types", f"name {name!r}, which the event types do not know", remedy)

    def _faults_of_columns(self) -> Iterator[Fault]:
        if len(set(self.columns.names)) < len(self.columns.names):
            yield Fault("columns", "repeat a name", "name each column once")
        for column in self.columns:
            if not NAME.fullmatch(column.name):
                yield Fault(f"column {column.name!r}", "is not read alike by every engine", "take lower-case letters, digits and underscores")
            if not is_held(column.type):
                remedy = f"take decimal128, one of {', '.join(map(str, SINGLE))}, or lists and structs of these, with members in lower case"
                yield Fault(f"column {column.name!r}", f"has type {column.type}", remedy)

    def _faults_of_key(self) -> Iterator[Fault]:
        if isinstance(self.key, str) or not self.key or len(set(self.key)) < len(self.key):
            yield Fault("key", f"is {self.key!r}", "give a tuple of one or more different column names")
        for name in self.key:
            if name not in self.columns.names:
                yield Fault(f"key {name!r}", "is not among the columns", "add it there, with its type")
            if pa.types.is_nested(self.columns.field(name).type):
                yield Fault(f"key {name!r}", f"is a {self.columns.field(name).type}, which has no order", "take a column of single values")
            if pa.types.is_floating(self.columns.field(name).type):
                yield Fault(f"key {name!r}", "is a floating-point number, of which equality is chance", "take an integer, decimal or string")
