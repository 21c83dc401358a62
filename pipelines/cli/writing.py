"""`init` and `append`: a new warehouse, and events put into it by hand."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Final

from cyclopts import Parameter

from pipelines.cli.arguments import Expected, Time
from pipelines.cli.outcome import MisusedError
from pipelines.cli.session import HERE, Session
from store import ANY, Event, correlated

_STDIN: Final = "-"


def init(*, session: Session = HERE) -> None:
    """Make a warehouse where there is none. One that is there stays as it is."""
    with session.open(create=True) as store:
        size = store.size()
    begun = size.delta_version <= 0
    session.answer.facts("", {"warehouse": session.uri, "events": size.events, "delta_version": size.delta_version})
    session.answer.say("It is there: `alluvium append`, `alluvium load`." if begun else "It was there already, and stays as it is.")


def append(
    stream: Annotated[str, Parameter(help="The stream, such as aircraft-N14228.")],
    type: Annotated[str, Parameter(help="The event's type.")],
    data: Annotated[str, Parameter(allow_leading_hyphen=True, help="A JSON object; - reads it from stdin. [{}]")] = "{}",
    /,
    *,
    expected: Annotated[Expected, Parameter(help="any, none (a new stream), exists, or the exact version. [any]")] = ANY,
    event_id: Annotated[str | None, Parameter(help="A UUID. Give one to be able to say this again: the same id is appended once.")] = None,
    schema_version: Annotated[int, Parameter(help="Of the data's shape. [1]")] = 1,
    occurred_at: Annotated[Time | None, Parameter(help="With its zone. [now]")] = None,
    tag: Annotated[tuple[str, ...], Parameter(help="As often as wanted.")] = (),
    metadata: Annotated[str | None, Parameter(help="A JSON object.")] = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    session: Session = HERE,
) -> None:
    """Append one event. What the domain knows of its type is checked; types that it does not know pass."""
    text = sys.stdin.read() if data == _STDIN else data
    event = Event(
        type,
        text.encode(),
        schema_version=schema_version,
        occurred_at=occurred_at,
        tags=tag,
        metadata=None if metadata is None else metadata.encode(),
    )
    if event_id is not None:
        event = replace(event, event_id=event_id)
    if schema_version < 1:
        raise MisusedError(f"schema_version {schema_version} is no version: count from 1")
    contract = session.the_domain().event_types.contract(unknown="pass")
    with correlated(correlation_id, causation_id) as correlation, session.open(contract=contract) as store:
        done = store.append(stream, [event], expected)
    told = {"stream_id": stream, "version": done.version, "position": done.position, "event_id": str(event.event_id), "correlation_id": correlation}
    session.answer.facts("", told)
