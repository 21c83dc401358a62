"""An aggregate's history: each event of its stream, and the state before and after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, overload

import pyarrow as pa

from store.deciding.aggregate import Aggregate
from store.deciding.fold import about, decode, fold_decoded
from store.deciding.likeness import alike, field_names
from store.display import Cell, Display, brief, ends
from store.event import RecordedEvent
from store.timeline import payload_of

S = TypeVar("S")

FIELDS: Final = 12
"""Fields of a state that a history shows as columns."""
_WHOLE: Final = "state"
"""Stands for the field of a state that has none."""


@dataclass(frozen=True, slots=True)
class Evolved(Generic[S]):
    """One event, and the states on both sides of it."""

    event: RecordedEvent
    before: S
    state: S

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """The fields of the state that the event changed: {field: (before, after)}."""
        return differences(self.before, self.state)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class History(Sequence[Evolved[S]], Generic[S]):
    """By version. A notebook shows it as a table, `print` as text: the first and the last ten events, what changed marked. A slice is a history."""

    stream_id: str
    steps: tuple[Evolved[S], ...]

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, place: int) -> Evolved[S]: ...
    @overload
    def __getitem__(self, place: slice) -> History[S]: ...
    def __getitem__(self, place: int | slice) -> Evolved[S] | History[S]:
        return History(self.stream_id, self.steps[place]) if isinstance(place, slice) else self.steps[place]

    def __repr__(self) -> str:
        return self._display().text()

    def _repr_html_(self) -> str:
        return self._display().html()

    def _display(self) -> Display:
        numbers, left_out = ends(len(self))
        shown = [self.steps[number] for number in numbers]
        changing, same = _split(shown)
        return Display(
            title=self._title(),
            columns=["version", "occurred at", "type", *changing[:FIELDS], "data"],
            rows=[_row(step, changing) for step in shown],
            left_out=left_out,
            numbers=("version",),
            notes=_told(same, len(changing)),
        )

    def _title(self) -> str:
        if not self.steps:
            return f"{self.stream_id} · no events"
        first, last = self.steps[0].event.version, self.steps[-1].event.version
        return f"{self.stream_id} · " + (f"version {first}" if first == last else f"versions {first} to {last}") + " · the state after each event"


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """What differs between two states: {field: (before, after)}; None for a key that a state does not have.

    Of a dataclass, Struct, Pydantic model or mapping by fields; of any other value as a whole, under "state".
    """
    was, is_ = fields_of(before), fields_of(after)
    pairs = {name: (was.get(name), is_.get(name)) for name in dict.fromkeys([*was, *is_])}
    return {name: pair for name, pair in pairs.items() if not alike(*pair)}


def fields_of(state: Any) -> dict[str, Any]:
    if isinstance(state, Mapping):
        return {str(name): value for name, value in state.items()}
    cls: Any = type(state)
    return {name: getattr(state, name, None) for name in field_names(cls)} or {_WHOLE: state}


def evolve_each(aggregate: Aggregate[S], state: S, events: pa.Table) -> Iterator[Evolved[S]]:
    """Each event of one stream, from the state before the first of them; an old one by what it is lifted to, be that several events or none."""
    if not len(events):
        return
    lifted, objects = aggregate.types.upcast(events), defaultdict[int, list[Any]](list)
    for version, event in zip(lifted["version"].to_pylist(), decode(aggregate, lifted), strict=True):
        objects[version].append(event)
    for recorded in RecordedEvent.each(events):
        with about(recorded.stream_id):
            after = fold_decoded(aggregate, state, objects[recorded.version], f"version {recorded.version} of stream {recorded.stream_id!r}")
        yield Evolved(recorded, state, after)
        state = after


def _split(steps: Sequence[Evolved[Any]]) -> tuple[list[str], dict[str, Any]]:
    """The fields that change in these steps, and the others with their value."""
    states = [fields_of(state) for step in steps for state in (step.before, step.state)]
    names = dict.fromkeys(name for state in states for name in state)
    changing = [name for name in names if any(not alike(states[0].get(name), state.get(name)) for state in states[1:])]
    return changing, {name: states[0].get(name) for name in names if name not in changing}


def _row(step: Evolved[Any], names: Sequence[str]) -> list[Cell]:
    changed, after = step.changes(), fields_of(step.state)
    event = [Cell(f"{step.event.version:,}"), Cell(brief(step.event.occurred_at)), Cell(step.event.type)]
    state = [Cell(brief(after.get(name)), "changed" if name in changed else "") for name in names[:FIELDS]]
    return [*event, *state, Cell(brief(payload_of(step.event.data)))]


def _told(same: Mapping[str, Any], changing: int) -> list[str]:
    values = [f"{name}: {brief(value)}" for name, value in list(same.items())[:FIELDS]]
    more = f", … {len(same) - FIELDS:,} more" if len(same) > FIELDS else ""
    unchanged = [f"unchanged: {', '.join(values)}{more}"] if same else []
    return unchanged + ([f"{changing - FIELDS:,} more fields change"] if changing > FIELDS else [])
