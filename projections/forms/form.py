"""What the runner asks of a form: which rows these events touch, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, Protocol

import pyarrow as pa

from projections.errors import Fault
from store import EventTypes


@dataclass(frozen=True, slots=True)
class Changes:
    """`rows`: one a key, as they are from now on, in the declared columns. `deleted`: the keys of rows that are no more. No key is in both."""

    rows: pa.Table
    deleted: pa.Table


@dataclass(frozen=True, slots=True)
class Touched:
    """`keys`: of the rows on which it depends what a batch of events changes; none, if that follows from the events alone.

    `change`: given those of these rows that there are, what the events make of them. It changes no others, but may put rows of new keys.
    """

    keys: pa.Table
    change: Callable[[pa.Table], Changes]


class Fold(Protocol):
    """A form at work on one projection. It remembers nothing from one batch to the next."""

    def touched(self, events: pa.Table) -> Touched:
        """`events`: one or more, in the log's order and columns. Raises ApplyError, or whatever the projection's own code does."""


class Declared(Protocol):
    """What a form knows of its projection."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> pa.Schema: ...
    @property
    def types(self) -> tuple[str, ...] | None: ...
    @property
    def event_types(self) -> EventTypes | None: ...


class Form(Protocol):
    """How events become rows. The rows come out the same however the log is cut into batches."""

    engine: ClassVar[str]
    """What runs it: duckdb, polars, python or arrow."""

    sees_erased: ClassVar[bool]
    """Is it given events whose payload was erased, whose fields are null? Else they are passed over."""

    def faults(self, declared: Declared) -> Iterator[Fault]:
        """What is wrong with this form for a projection whose key, columns and types are good."""

    def reads(self, declared: Declared) -> tuple[str, ...] | None:
        """The types of events that it needs, by the names of their newest shapes; None: all."""

    def at_once(self, declared: Declared, chosen: str) -> str | None:
        """A query of the view `events` that gives all rows, of the events for which the condition `chosen` holds; None: it takes the batches."""

    def determined_by(self) -> tuple[object, ...]:
        """All that its rows depend on beside the events: texts, functions and classes. See `fingerprint`."""

    def open(self, declared: Declared) -> AbstractContextManager[Fold]: ...


def key_schema(declared: Declared) -> pa.Schema:
    """The columns of its keys."""
    return pa.schema([declared.columns.field(name) for name in declared.key])
