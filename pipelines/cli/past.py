"""`as-of`: the warehouse, a stream's state, or a read model, as it was at a position or a time."""

from __future__ import annotations

from typing import Annotated, Any, Final

from cyclopts import Parameter

from pipelines.cli.arguments import Count, Place
from pipelines.cli.bars import working
from pipelines.cli.outcome import MisusedError
from pipelines.cli.replaying import choose, plain
from pipelines.cli.session import HERE, Session
from projections import WarehouseSql
from store import EventStore, load_as_of

SHOWN_ROWS: Final = 50
_STATE: Final = "select stream_id, version, position, recorded_at, state from state(?) where stream_id = ?"
_COUNTS: Final = "select type, count(*) as events, max(recorded_at) as last from events group by all order by type"


def as_of(
    place: Annotated[Place, Parameter(help="A position, or a time with its zone: 2013-02-08T18:00-05:00.")],
    /,
    *,
    stream: Annotated[str | None, Parameter(help="The state of this stream.")] = None,
    projection: Annotated[str | None, Parameter(help="The rows of this read model.")] = None,
    limit: Annotated[Count, Parameter(help=f"So many rows are shown to people. [{SHOWN_ROWS}]")] = SHOWN_ROWS,
    session: Session = HERE,
) -> None:
    """See what was true then; without a stream or a projection how many events of each type there were. For all else: `sql --as-of`."""
    if stream is not None and projection is not None:
        raise MisusedError("a stream and a projection cannot be shown at once: ask for them one by one")
    with session.open() as store:
        position = store.deciding.loader.position(place)
        if stream is not None:
            session.answer.facts(f"{stream} as of position {position:,}", _state(session, store, stream, position))
        elif projection is not None:
            with working("folding"), WarehouseSql(store, session.uri, session.projections([projection])) as warehouse:
                rows = warehouse.sql(f'from "{projection}"', as_of=position).to_arrow_table()
            session.answer.rows(f"{projection} as of position {position:,}", rows.to_pylist(), rows.column_names, limit=limit)
        else:
            counts = store.sql(_COUNTS, as_of=position).to_arrow_table()
            session.answer.rows(f"The log as of position {position:,}", counts.to_pylist(), counts.column_names)


def _state(session: Session, store: EventStore, stream: str, position: int) -> dict[str, Any]:
    category, dash, id = stream.partition("-")
    aggregate = choose(session, category, None)
    if aggregate is not None and dash:
        loaded = load_as_of(store, aggregate, id, position)
        return {"version": loaded.version, "position": loaded.position, "as_of": position, "state": plain(loaded.state)}
    [found] = store.sql(_STATE, [category, stream], as_of=position).to_arrow_table().to_pylist() or [{}]
    return {"version": found.get("version", 0), "position": found.get("position", 0), "as_of": position, "state": found.get("state", "{}")}
