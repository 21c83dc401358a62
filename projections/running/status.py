"""How a projection stands: what serves, how far it is, and what would have to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from projections.models.builds import MAKING, Build, Builds
from projections.models.dead_letters import DeadLetters
from projections.models.fingerprint import fingerprint
from projections.models.hold import PAUSED, Hold, hold_of
from projections.models.turn import FINGERPRINT
from projections.projection import Projection
from store import Cell, Display, EventStore, Mark, delta_table, is_table, span

NEW: Final = "new"
UP_TO_DATE: Final = "up to date"
BEHIND: Final = "behind"
NEEDS_REBUILD: Final = "needs rebuild"
_MARKS: Final[Mapping[str, Mark]] = {NEW: "waits", UP_TO_DATE: "good", BEHIND: "waits", PAUSED: "waits"}


@dataclass(frozen=True, slots=True)
class Status:
    """`state`: "new", "up to date", "behind", "paused", "halted" or "needs rebuild"; `why`: of the last three.

    `serving`: the build that readers see; `making`: one that is being rebuilt beside it. `lag`: events between `checkpoint` and the
    head of the log; `lag_s`: since when the first of them waits, in seconds.
    `parked`: its dead letters.
    """

    projection: str
    state: str
    why: str
    serving: Build | None
    making: Build | None
    rows: int
    checkpoint: int
    lag: int
    lag_s: float
    parked: int

    def __str__(self) -> str:
        return Statuses([self])._display().text()

    def _repr_html_(self) -> str:
        return Statuses([self])._display().html()


class Statuses(tuple[Status, ...]):
    """Of several projections, as a table in a notebook and in `print`: a bar for how far each has come, and its lag in events and in time."""

    __slots__ = ()

    def __repr__(self) -> str:
        return self._display().text()

    def _repr_html_(self) -> str:
        return self._display().html()

    def _display(self) -> Display:
        head = max((one.checkpoint + one.lag for one in self), default=0)
        return Display(
            title=f"{len(self)} projection{'' if len(self) == 1 else 's'} · head of the log {head:,}",
            columns=["projection", "state", "checkpoint", "lag", "waiting", "rows", "parked", "serving", "making"],
            rows=[_row(one) for one in self],
            numbers=("checkpoint", "lag", "waiting", "rows", "parked"),
            notes=[f"{one.projection}: {one.why}" for one in self if one.why],
        )


def status(store: EventStore, warehouse: str, projection: Projection) -> Status:
    """Of the build that serves, whichever version and code it is of. Nothing is written."""
    builds = Builds(warehouse)
    known = builds.of(projection)
    serving, making = builds.serving(projection), next((one for one in known if one.state == MAKING), None)
    uri = None if serving is None else builds.uri(projection.name, serving.build)
    # By another reader: what serves may be of an older version, with other columns than are declared.
    table = None if uri is None or not is_table(uri) else delta_table(uri)
    checkpoint = 0 if table is None else int(table.transaction_version(projection.name) or 0)
    head = store.head()
    marks = {} if table is None else dict(table.metadata().configuration)
    state, why = _state(projection, serving, marks.get(FINGERPRINT), hold_of(marks), head - checkpoint)
    rows = 0 if table is None else int(table.count())
    parked = 0 if serving is None else DeadLetters(warehouse).count(projection.name, serving.build)
    return Status(projection.name, state, why, serving, making, rows, checkpoint, head - checkpoint, _waited_s(store, checkpoint, head), parked)


def statuses(store: EventStore, warehouse: str, projections: Sequence[Projection]) -> Statuses:
    """Of each, in this order."""
    return Statuses(status(store, warehouse, projection) for projection in projections)


def _row(one: Status) -> list[Cell]:
    head = one.checkpoint + one.lag
    waiting = span(timedelta(seconds=one.lag_s)).removeprefix("+") if one.lag else ""
    return [
        Cell(one.projection),
        Cell(one.state, _MARKS.get(one.state, "wrong")),
        Cell(f"{one.checkpoint:,}", share=one.checkpoint / head if head else 1.0),
        Cell(f"{one.lag:,}"),
        Cell(waiting),
        Cell(f"{one.rows:,}"),
        Cell(f"{one.parked:,}", "wrong" if one.parked else ""),
        Cell(one.serving.build if one.serving else "–"),
        Cell(one.making.build if one.making else "–"),
    ]


def _state(projection: Projection, serving: Build | None, made_by: str | None, hold: Hold | None, lag: int) -> tuple[str, str]:
    if serving is None:
        return NEW, ""
    if serving.version != projection.version:
        return NEEDS_REBUILD, f"version {projection.version} is declared, and version {serving.version} serves"
    if made_by is not None and made_by != (code := fingerprint(projection)):
        return NEEDS_REBUILD, f"its rows were made by other code ({made_by}, now {code})"
    if hold is not None:
        return hold.kind, hold.why
    return (BEHIND, "") if lag else (UP_TO_DATE, "")


def _waited_s(store: EventStore, checkpoint: int, head: int) -> float:
    if checkpoint >= head:
        return 0.0
    first = store.read_all(checkpoint, limit=1).read_all()["recorded_at"][0].as_py()
    return max(0.0, float((datetime.now(UTC) - first).total_seconds()))
