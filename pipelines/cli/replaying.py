"""`replay`: a stream's state after each of its events, and what each one changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
import orjson
from cyclopts import Parameter

from pipelines.cli.answer import shown
from pipelines.cli.outcome import CommandError
from pipelines.cli.session import HERE, Session
from store import Aggregate, EventStore

LIMIT: Final = 50
_ABSENT: Final = object()


def replay(
    stream: Annotated[str, Parameter(help="Its id, such as aircraft-N14228.")],
    /,
    *,
    after: Annotated[int, Parameter(help="Show what comes past this version.")] = 0,
    limit: Annotated[int | None, Parameter(help=f"So many events at most. [{LIMIT}; all with --json]")] = None,
    aggregate: Annotated[str | None, Parameter(help="Of the domain, by name, where several fold the category. [the first]")] = None,
    session: Session = HERE,
) -> None:
    """Fold a stream event by event: by the domain's aggregate of its category; where there is none, by merging the events' data."""
    most = limit if limit is not None or session.json else LIMIT
    chosen = choose(session, stream.partition("-")[0], aggregate)
    with session.open() as store:
        if not (version := store.stream_version(stream)):
            raise CommandError(f"there is no stream {stream!r}: `alluvium sql \"select distinct stream_id from events limit 20\"` shows some")
        steps = _steps(store, stream, chosen, version if most is None else min(version, after + most))
        folded = "by merging data" if chosen is None else f"by the aggregate {chosen.name}"
        rows = ({**step, "changes": None} if session.json else _for_people(step) for step in steps if step["version"] > after)
        names = ("version", "occurred_at", "type", "changes")
        session.answer.rows(f"{stream}, folded {folded}", rows if not session.json else (_bare(row) for row in rows), names)
        if most is not None and version > after + most:
            session.answer.note(f"{most} of {version:,} events: --after, --limit, or --json for all")


def choose(session: Session, category: str, name: str | None) -> Aggregate[Any] | None:
    """The aggregate that folds these streams; None: the domain has none. CommandError: none is called so."""
    there = [one for one in session.the_domain().aggregates if one.category == category]
    if name is None:
        return there[0] if there else None
    found = next((one for one in there if one.name == name), None)
    if found is None:
        told = ", ".join(one.name for one in there) or "none"
        raise CommandError(f"no aggregate {name!r} folds streams of {category!r}: take one of these: {told}")
    return found


def plain(state: Any) -> Any:
    """A state as JSON holds it."""
    return msgspec.to_builtins(state, enc_hook=str)


def _steps(store: EventStore, stream: str, aggregate: Aggregate[Any] | None, until: int) -> Iterator[dict[str, Any]]:
    """With the state before and after, as JSON holds them."""
    events = store.read_stream(stream, limit=until)
    before: Any = {} if aggregate is None else plain(aggregate.initial)
    states = _merged(events["data"].to_pylist()) if aggregate is None else _folded(aggregate, events)
    for row, state in zip(events.to_pylist(), states, strict=True):
        told = {name: row[name] for name in ("version", "position", "event_id", "type", "occurred_at", "recorded_at", "correlation_id", "data")}
        yield {**told, "before": before, "state": state}
        before = state


def _folded(aggregate: Aggregate[Any], events: Any) -> Iterator[Any]:
    """An event that was split evolves the state by each of its parts."""
    state = aggregate.initial
    for row in range(len(events)):
        for event in aggregate.types.decode(events.slice(row, 1)):
            state = (aggregate.unknown or aggregate.evolve)(state, event) if _is_raw(event) else aggregate.evolve(state, event)
        yield plain(state)


def _is_raw(event: Any) -> bool:
    from store import RawEvent

    return isinstance(event, RawEvent)


def _merged(data: list[str]) -> Iterator[Any]:
    state: Any = {}
    for text in data:
        state = merge(state, orjson.loads(text))
        yield state


def merge(whole: Any, part: Any) -> Any:
    """JSON merge patch, RFC 7396: what `history(id)` does in SQL."""
    if not isinstance(part, Mapping):
        return part
    kept = dict(whole) if isinstance(whole, Mapping) else {}
    for name, value in part.items():
        if value is None:
            kept.pop(name, None)
        else:
            kept[name] = merge(kept.get(name), value)
    return kept


def _for_people(step: dict[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("version", "occurred_at", "type")} | {"changes": changes(step["before"], step["state"])}


def _bare(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in ("before", "changes")}


def changes(before: Any, after: Any) -> str:
    """In words: `status on the ground → in the air, flown 1 → 2`."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return "" if before == after else f"{_told(before)} → {_told(after)}"
    names = [name for name in dict.fromkeys([*before, *after]) if before.get(name, _ABSENT) != after.get(name, _ABSENT)]
    return ", ".join(f"{name} {_told(before.get(name))} → {_told(after.get(name))}" for name in names)


def _told(value: Any) -> str:
    return "–" if value is None else shown(value)
