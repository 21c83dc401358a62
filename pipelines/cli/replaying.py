"""`replay`: a stream's state after each of its events, and what each one changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
import orjson
from cyclopts import Parameter

from pipelines.cli.answer import shown
from pipelines.cli.arguments import Count
from pipelines.cli.outcome import CommandError
from pipelines.cli.session import HERE, Session
from store import Aggregate, EventStore, Evolved, evolve_each

LIMIT: Final = 50
_TOLD: Final = ("version", "position", "event_id", "type", "occurred_at", "recorded_at", "correlation_id", "data")


def replay(
    stream: Annotated[str, Parameter(help="Its id, such as aircraft-N14228.")],
    /,
    *,
    after: Annotated[Count, Parameter(help="Show what comes past this version.")] = 0,
    limit: Annotated[Count | None, Parameter(help=f"So many events at most. [{LIMIT}; all with --json]")] = None,
    aggregate: Annotated[str | None, Parameter(help="Of the domain, by name, where several fold the category. [the first]")] = None,
    session: Session = HERE,
) -> None:
    """Fold a stream event by event: by the domain's aggregate of its category; where there is none, by merging the events' data."""
    most = limit if limit is not None or session.json else LIMIT
    category = stream.partition("-")[0]
    chosen = choose(session, category, aggregate)
    with session.open() as store:
        if not (version := store.stream_version(stream)):
            raise CommandError(f"there is no stream {stream!r}: `alluvium sql \"select distinct stream_id from events limit 20\"` shows some")
        steps = _steps(store, stream, chosen or merging(category), version if most is None else min(version, after + most))
        folded = "by merging data" if chosen is None else f"by the aggregate {chosen.name}"
        told = _for_programs if session.json else _for_people
        session.answer.rows(f"{stream}, folded {folded}", (told(step) for step in steps if step.event.version > after))
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


def _steps(store: EventStore, stream: str, aggregate: Aggregate[Any], until: int) -> Iterator[Evolved[Any]]:
    """Each event of the stream up to that version, with the state on both sides of it."""
    return evolve_each(aggregate, aggregate.initial, store.privacy.open(store.read_stream(stream, limit=until)))


def merging(category: str) -> Aggregate[Any]:
    """Of streams that the domain has no aggregate for."""
    return Aggregate(category=category, initial={}, evolve=lambda state, event: merge(state, orjson.loads(event.data)))


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


def _for_people(step: Evolved[Any]) -> dict[str, Any]:
    changes = (f"{name} {_told(before)} → {_told(after)}" for name, (before, after) in step.changes().items())
    event = step.event
    return {"version": event.version, "occurred_at": event.occurred_at, "type": event.type, "changes": ", ".join(changes)}


def _for_programs(step: Evolved[Any]) -> dict[str, Any]:
    return {name: getattr(step.event, name) for name in _TOLD} | {"state": plain(step.state)}


def _told(value: Any) -> str:
    return "–" if value is None else shown(plain(value))
