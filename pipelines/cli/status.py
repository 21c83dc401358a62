"""`status`: the one screen that an operator looks at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from cyclopts import Parameter, validators
from rich.console import Group
from rich.live import Live
from rich.text import Text

from pipelines.cli.answer import out, shown, table
from pipelines.cli.outcome import DONE, FOUND
from pipelines.cli.session import HERE, Session
from pipelines.concerns import Concern, concerns
from pipelines.levels import Levels, levels
from projections import Status
from store import EventStore

_STYLES: Final = {"up to date": "green", "behind": "yellow", "new": "dim", "paused": "magenta", "halted": "bold red", "needs rebuild": "bold red"}
_SNAPSHOTS: Final = "select count(*) as snapshots, count(distinct aggregate) as aggregates, max(taken_at) as last from snapshots"


@dataclass(frozen=True, slots=True)
class Screen:
    """`per_s_minute`, `per_s_hour`: events a second over the last one."""

    warehouse: str
    levels: Levels
    per_s_minute: float
    per_s_hour: float
    snapshots: Mapping[str, Any]
    concerns: Sequence[Concern]


def status(
    *,
    watch: Annotated[float | None, Parameter(validator=validators.Number(gt=0), help="Look again every so many seconds, until Ctrl-C.")] = None,
    session: Session = HERE,
) -> int:
    """How far the log is and how quickly it grows, how each projection stands, how large the tables are, and what somebody should see to.

    Exit code 3 if there is something that somebody should see to.
    """
    with session.open() as store:
        screen = look(session, store)
        if watch is not None and not session.json:
            with Live(drawn(screen), console=out(), screen=out().is_terminal, auto_refresh=False) as live:
                while True:
                    time.sleep(watch)
                    live.update(drawn(look(session, store)), refresh=True)
        if session.json:
            session.answer.facts("", told(screen))
        else:
            out().print(drawn(screen))
    return FOUND if screen.concerns else DONE


def look(session: Session, store: EventStore) -> Screen:
    domain, now = session.the_domain(), datetime.now(UTC)
    seen = levels(store, session.uri, session.projections())
    minute, hour = (_per_s(store, seen.head, now, span) for span in (timedelta(minutes=1), timedelta(hours=1)))
    [saved] = store.sql(_SNAPSHOTS).to_arrow_table().to_pylist()
    return Screen(session.uri, seen, minute, hour, saved, concerns(seen, domain.bounds, now))


def _per_s(store: EventStore, head: int, now: datetime, span: timedelta) -> float:
    """Events a second over the last so long."""
    return max(0, head - store.position_at(now - span)) / span.total_seconds()


def told(screen: Screen) -> dict[str, Any]:
    """For programs."""
    seen = screen.levels
    return {
        "warehouse": screen.warehouse,
        "head": seen.head,
        "recorded_at": seen.recorded_at,
        "events_per_s_minute": screen.per_s_minute,
        "events_per_s_hour": screen.per_s_hour,
        "tables": [asdict(one) for one in seen.tables],
        "projections": [asdict(one) for one in seen.projections],
        "snapshots": screen.snapshots,
        "concerns": [asdict(one) for one in screen.concerns],
    }


def drawn(screen: Screen) -> Group:
    """For people."""
    seen = screen.levels
    last = "no event yet" if seen.recorded_at is None else f"last event {ago(seen.recorded_at)}, {shown(seen.recorded_at)} UTC"
    head = Text.assemble(("head ", "dim"), (f"{seen.head:,}", "bold"), f", {last}")
    saved = screen.snapshots
    snapshots = f"{saved['snapshots']:,} of {saved['aggregates']:,} aggregates, the last one {ago(saved['last'])}" if saved["snapshots"] else "none"
    return Group(
        Text(screen.warehouse, style="bold cyan"),
        head,
        Text.assemble(("rate ", "dim"), _rate(screen)),
        Text.assemble(("snapshots ", "dim"), snapshots),
        Text(),
        Text("Projections", style="bold"),
        table([_projection(one) for one in seen.projections]),
        Text("Tables", style="bold"),
        table([_table(row) for row in map(asdict, seen.tables)]),
        *_worries(screen.concerns),
    )


def _rate(screen: Screen) -> str:
    return f"{shown(screen.per_s_minute)}/s over the last minute, {shown(screen.per_s_hour)}/s over the last hour"


def _projection(one: Status) -> dict[str, Any]:
    waits = shown(timedelta(seconds=int(one.lag_s))) if one.lag else None
    serving = None if one.serving is None else one.serving.build
    state = Text(one.state, style=_STYLES.get(one.state, ""))
    making = None if one.making is None else one.making.build
    return {
        "projection": one.projection, "state": state, "lag": one.lag, "first waits": waits, "rows": one.rows, "parked": one.parked or None,
        "serving": serving, "making": making,
    }  # fmt: skip


def _table(row: Mapping[str, Any]) -> dict[str, Any]:
    per_row = row["data_bytes"] / row["rows"] if row["rows"] else None
    return {
        "table": row["table"], "rows": row["rows"], "files": row["files"], "size": size(row["data_bytes"]), "bytes a row": per_row,
        "delta version": row["delta_version"],
    }  # fmt: skip


def _worries(found: Sequence[Concern]) -> list[Text]:
    if not found:
        return [Text("Nothing that somebody should see to.", style="green")]
    lines = [Text.assemble(("! ", "bold red"), (one.about, "bold"), f": {one.problem}\n    → {one.remedy}") for one in found]
    return [Text(f"{len(found)} to see to", style="bold red"), *lines]


def ago(then: datetime) -> str:
    seconds = (datetime.now(UTC) - then).total_seconds()
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count:,} {unit}{'s' if count > 1 else ''} ago"
    return f"{max(seconds, 0):.0f} seconds ago"


def size(data_bytes: int) -> str:
    """As people read it."""
    value, units = float(data_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:,.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"
