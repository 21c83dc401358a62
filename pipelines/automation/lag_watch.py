"""Which read models are behind the log, and which must be left alone: looked at again and again, by handles that stay open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from pipelines.warehouse import Warehouse
from projections import (
    BuildError,
    Builds,
    NeedsRebuildError,
    PausedError,
    Projection,
    ReadModelRefusedError,
    ServingModel,
)
from store import EventStore, StoreError, TableRefusedError

T = TypeVar("T")

_HOPELESS: Final = (BuildError, NeedsRebuildError, PausedError, ReadModelRefusedError, TableRefusedError)
"""What no run would get past."""


@dataclass(frozen=True, slots=True)
class Seen:
    """`behind`: projections that a run would bring up to `head`. `told`: why others, which are behind too, are to be left alone."""

    head: int
    behind: Sequence[str]
    told: Mapping[str, str]


class LagWatch:
    """Safe to use from many threads at once. Nothing is opened before the first look, and nothing is ever written.

    Each look reads what is new since the last one: where nothing is, that is one small read that finds no file for each table.
    StoreError, from both methods: storage refuses, or there is no log. The next look opens everything anew.
    """

    def __init__(self, warehouse: Warehouse, projections: Sequence[Projection]) -> None:
        self._warehouse, self._projections = warehouse, projections
        self._lock = threading.Lock()
        self._opened: tuple[EventStore, list[ServingModel]] | None = None

    def head(self) -> int:
        """The last position of the log."""
        with self._lock:
            return self._looked(lambda store, models: store.head())

    def look(self) -> Seen:
        """At every read model; checkpoints before the head, which only grows: none is missed."""
        with self._lock:
            return self._looked(self._seen)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _seen(self, store: EventStore, models: Sequence[ServingModel]) -> Seen:
        found = [_checkpoint(model) for model in models]
        head, behind, told = store.head(), list[str](), dict[str, str]()
        for model, at in zip(models, found, strict=True):
            name = model.projection.name
            if isinstance(at, str):
                told[name] = at
            elif at > head:
                told[name] = f"its checkpoint {at} lies beyond the head {head}: rebuild it"
            elif at < head and (why := self._why_not(model)) is not None:
                told[name] = why
            elif at < head:
                behind.append(name)
        return Seen(head, behind, told)

    def _why_not(self, model: ServingModel) -> str | None:
        """Why a run is not to be begun by itself, though it might get on."""
        if (hold := model.hold()) is not None:
            return f"{hold.kind}: {hold.why}"
        if model.delta_version() < 0 and any(build.state == "making" for build in Builds(self._warehouse.uri).of(model.projection)):
            return "its first build is being made"
        return None

    def _looked(self, look: Callable[[EventStore, Sequence[ServingModel]], T]) -> T:
        try:
            if self._opened is None:
                self._opened = self._warehouse.open(), [self._warehouse.model(projection) for projection in self._projections]
            return look(*self._opened)
        except StoreError:
            self._close()
            raise

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            with suppress(StoreError):
                opened[0].close()


def _checkpoint(model: ServingModel) -> int | str:
    """Or why no run would get past it."""
    try:
        return model.turn().checkpoint
    except _HOPELESS as error:
        return str(error)
