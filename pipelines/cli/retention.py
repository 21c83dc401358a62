"""`retention …`: what of streams is to be kept, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Dry, Expected, Now, Sure
from pipelines.cli.bars import working
from pipelines.cli.confirming import confirm
from pipelines.cli.doer import By, Reason, Why, named
from pipelines.cli.outcome import MisusedError
from pipelines.cli.session import HERE, Session
from pipelines.cli.status import size
from store import ANY, UNKNOWN, Held, Rule

app: Final = App("retention", help="Say what is to be kept of streams, and end them.", default_parameter=QUIET)

Stream = Annotated[str, Parameter(name="STREAM", help="Its id.")]
At = Annotated[Expected, Parameter(name="--expected", help="The version at which it must be: any, none, exists or a number. [any]")]
_UNITS: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


@app.command
def show(stream: Annotated[str | None, Parameter(help="What holds of this one. [the rules of all]")] = None, /, *, session: Session = HERE) -> None:
    """The rules of streams and categories; or how one stream is held: its version, what it hides, how it ended."""
    with session.open() as store:
        if stream is not None:
            session.answer.facts("", _held(session, store.retention.of(stream)))
        else:
            session.answer.rows("Rules", [{"of": name, **_rule(session, rule)} for name, rule in store.retention.rules().items()])


@app.command
def keep(
    name: Annotated[str, Parameter(name="NAME", help="A stream, or a category: a name without a hyphen.")],
    /,
    *,
    max_age: Annotated[str | None, Parameter(help="Of events, such as 90d, 12h, 30min or 20s. [any]")] = None,
    max_count: Annotated[int | None, Parameter(help="Of events of each stream. [any]")] = None,
    by: By = None,
    why: Why = UNKNOWN,
    session: Session = HERE,
) -> None:
    """Keep the events within these bounds, and hide the others; with neither, keep all. Upkeep removes what is hidden."""
    with session.open() as store:
        store.retention.keep(name, None if max_age is None else _age(max_age), max_count, by=named(by), why=why)
        session.answer.facts("", {"of": name, **_rule(session, store.retention.rules()[name])})


@app.command
def truncate(
    stream: Stream,
    before: Annotated[int, Parameter(name="VERSION", help="The first version that is to be kept.")],
    /,
    *,
    why: Reason,
    by: By = None,
    yes: Sure = False,
    session: Session = HERE,
) -> None:
    """Hide the events below a version, for good."""
    confirm(f"Hide all events of {stream} below version {before} for good?", yes)
    _said(session, lambda store: store.retention.truncate(stream, before, by=named(by), why=why))


@app.command
def delete(stream: Stream, /, *, at: At = ANY, why: Reason, by: By = None, yes: Sure = False, session: Session = HERE) -> None:
    """Let a stream read as if it did not exist. It may be begun anew, behind its last version."""
    confirm(f"Delete {stream}? Its events are removed by upkeep.", yes)
    _said(session, lambda store: store.retention.delete(stream, at, by=named(by), why=why))


@app.command
def tombstone(stream: Stream, /, *, at: At = ANY, why: Reason, by: By = None, yes: Sure = False, session: Session = HERE) -> None:
    """Delete a stream for ever: nothing is appended under its id any more."""
    confirm(f"Tombstone {stream}? Its id can never be used again.", yes)
    _said(session, lambda store: store.retention.tombstone(stream, at, by=named(by), why=why))


@app.command
def close(stream: Stream, /, *, at: At = ANY, why: Reason, by: By = None, yes: Sure = False, session: Session = HERE) -> None:
    """Let a stream take no more events. It is read as before, and `archive` moves it."""
    confirm(f"Close {stream}? It can never take an event again.", yes)
    _said(session, lambda store: store.retention.close(stream, at, by=named(by), why=why))


@app.command
def remove(*, dry_run: Dry = False, now: Now = False, by: By = None, why: Why = UNKNOWN, session: Session = HERE) -> None:
    """Take what is hidden out of the log; upkeep does it once a day. Replaced files hold it until they are an hour old."""
    with session.open() as store, working("removing"):
        done = store.retention.remove(by=named(by), why=why, dry_run=dry_run)
        if now and not dry_run:
            store.purge()
    streams: Any = dict(done.streams) if session.json else len(done.streams)
    session.answer.facts("", {"dry_run": dry_run, "events": done.events, "streams": streams, "delta_version": done.delta_version})


@app.command
def archive(
    *, tombstoned: Annotated[bool, Parameter(help="Tombstoned streams, too.")] = False, dry_run: Dry = False, session: Session = HERE
) -> None:
    """Move the events of closed streams to files under `events/archive/`, which a rule of the object store can make colder."""
    with session.open() as store, working("archiving"):
        done = store.retention.archive(tombstoned, dry_run=dry_run)
    data_bytes = done.data_bytes if session.json else size(done.data_bytes)
    told = {"files_parted": done.files_before, "files_made": done.files_after, "data_bytes" if session.json else "data": data_bytes}
    session.answer.facts("", {"dry_run": dry_run, "events": done.events, **told})


def _said(session: Session, say: Callable[[Any], Held]) -> None:
    with session.open() as store:
        session.answer.facts("", _held(session, say(store)))


def _held(session: Session, held: Held) -> dict[str, Any]:
    ended = "tombstoned" if held.tombstoned else "deleted" if held.deleted else "closed" if held.closed else None
    return {"stream_id": held.stream_id, "version": held.version, "hidden": held.hidden, "ended": ended, **_rule(session, held.rule)}


def _rule(session: Session, rule: Rule) -> dict[str, Any]:
    age_s = None if rule.max_age is None else rule.max_age.total_seconds()
    told = {"max_age_s": age_s} if session.json else {"max_age": None if age_s is None else _written(age_s)}
    return {**told, "max_count": rule.max_count}


def _written(age_s: float) -> str:
    """As `_age` reads it: in the largest unit that divides it."""
    unit = next((unit for unit in reversed(_UNITS) if age_s % _UNITS[unit] == 0), "s")
    return f"{age_s / _UNITS[unit]:g}{unit}"


def _age(text: str) -> timedelta:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    try:
        return timedelta(seconds=float(number) * _UNITS[text[len(number) :]])
    except (ValueError, KeyError, OverflowError):
        raise MisusedError(f"--max-age {text!r} is no age: write it such as 90d, 12h, 30min or 20s") from None
