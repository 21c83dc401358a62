"""`read` and `stream`: events as they are in the log."""

from __future__ import annotations

from typing import Annotated, Any, Final

from cyclopts import Parameter

from pipelines.cli.answer import shown
from pipelines.cli.arguments import Count, Place
from pipelines.cli.events import each, tell_events
from pipelines.cli.outcome import CommandError
from pipelines.cli.session import HERE, Session
from store import AsOf, EventStore, Subscription

LIMIT: Final = 50
"""So many events people are shown unless they ask for more; programs get all."""

Names = Annotated[tuple[str, ...], Parameter(help="As often as wanted: any of them.")]


def read(
    *,
    after: Annotated[Place, Parameter(help="Past this position or time.")] = 0,
    until: Annotated[Place | None, Parameter(help="Up to this position or time.")] = None,
    limit: Annotated[Count | None, Parameter(help=f"So many at most. [{LIMIT}; all with --json]")] = None,
    type: Names = (),
    category: Names = (),
    tag: Annotated[tuple[str, ...], Parameter(help="As often as wanted: all of them.")] = (),
    backward: Annotated[bool, Parameter(help="Newest first.")] = False,
    follow: Annotated[bool, Parameter(name=("--follow", "-f"), help="Go on with what comes, until Ctrl-C.")] = False,
    session: Session = HERE,
) -> None:
    """The log in its order, or a part of it."""
    with session.open() as store:
        begin, end = _position(store, after), None if until is None else _position(store, until)
        types, categories, tags = type or None, category or None, tag or None
        if follow:
            _follow(session, store.subscribe(begin, types, categories, tags))
            return
        most = limit if limit is not None or session.json else LIMIT
        batches = store.read_all(begin, until=end, limit=most, types=types, categories=categories, tags=tags, backward=backward)
        told = tell_events(session.answer, "", each(batches))
        if told == most and limit is None:
            session.answer.note(f"{most} events; there may be more: --limit, --after, or --json for all")


def stream(
    stream: Annotated[str, Parameter(help="Its id, such as aircraft-N14228.")],
    /,
    *,
    after: Annotated[Count, Parameter(help="Past this version.")] = 0,
    limit: Annotated[Count | None, Parameter(help=f"So many at most. [{LIMIT}; all with --json]")] = None,
    backward: Annotated[bool, Parameter(help="Newest first.")] = False,
    session: Session = HERE,
) -> None:
    """The events of one stream, by version."""
    most = limit if limit is not None or session.json else LIMIT
    with session.open() as store:
        events, version = store.read_stream(stream, after, most, backward), store.stream_version(stream)
    if not version:
        raise CommandError(f"there is no stream {stream!r}: `alluvium sql \"select distinct stream_id from events limit 20\"` shows some")
    names = ("version", "position", "occurred_at", "type", "tags", "data")
    told = tell_events(session.answer, f"{stream}, {version:,} events", each(events.to_batches()), names)
    if told < version and limit is None and not session.json:
        session.answer.note(f"{told} of {version:,}: --limit, --after, --backward, or --json for all")


def _position(store: EventStore, place: AsOf) -> int:
    return place if isinstance(place, int) else store.position_at(place)


def _follow(session: Session, coming: Subscription) -> None:
    with coming:
        for event in each(coming):
            _tell(session, event)


def _tell(session: Session, event: dict[str, Any]) -> None:
    if session.json:
        session.answer.rows("", [event])
    else:
        place, at = f"{event['position']:>10,}", shown(event["occurred_at"])
        session.answer.say(f"{place}  {at}  {event['stream_id']}  {event['type']}  {event['data']}")
