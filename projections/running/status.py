"""How a projection stands: what serves, how far it is, and what would have to be done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from projections.models.builds import MAKING, Build, Builds
from projections.models.dead_letters import DeadLetters
from projections.models.fingerprint import fingerprint
from projections.models.hold import Hold, hold_of
from projections.models.turn import FINGERPRINT
from projections.projection import Projection
from store import EventStore, delta_table, is_table

NEW: Final = "new"
UP_TO_DATE: Final = "up to date"
BEHIND: Final = "behind"
NEEDS_REBUILD: Final = "needs rebuild"


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
