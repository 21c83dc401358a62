"""`erase` and `reapply`: what was never encrypted is taken out of the warehouse, and of copies that still have it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import orjson
from cyclopts import Parameter

from pipelines.cli.arguments import Count, Dry, Now, Sure
from pipelines.cli.bars import projection_bars, working
from pipelines.cli.confirming import confirm
from pipelines.cli.doer import By, Reason, named
from pipelines.cli.outcome import DONE, FOUND, MisusedError
from pipelines.cli.session import HERE, Session
from pipelines.executors import executor_of
from pipelines.published import publish_again
from projections import erase_everywhere, reapply_everywhere
from store import BACKUPS, Erasure, ErasureReport, open_store

_BACK = "This cannot be taken back."


def erase(
    *,
    stream: Annotated[tuple[str, ...], Parameter(help="Of this stream; several times for several.")] = (),
    tag: Annotated[str | None, Parameter(help="Carrying this tag, such as customer:7.")] = None,
    field: Annotated[str | None, Parameter(help="Whose data has this value there: PATH=VALUE, such as customer.id=7.")] = None,
    type: Annotated[tuple[str, ...], Parameter(help="Of this type; several times for several.")] = (),
    after: Annotated[Count, Parameter(help="Past this position. [0]")] = 0,
    until: Annotated[Count | None, Parameter(help="Up to this position. [the head]")] = None,
    where: Annotated[str | None, Parameter(help="For which this condition in SQL on the columns of the log holds.")] = None,
    put: Annotated[tuple[str, ...], Parameter(help="Replace only this part of the data: PATH=JSON, such as email=null. [all of it goes]")] = (),
    metadata: Annotated[bool, Parameter(help="With --put: the metadata goes, too.")] = False,
    tags: Annotated[bool, Parameter(help="The tags go, too.")] = False,
    why: Reason,
    by: By = None,
    dry_run: Dry = False,
    now: Now = False,
    backup: Annotated[tuple[str, ...], Parameter(help="A backup in which the same is to be erased.")] = (),
    values_in: Annotated[Path | None, Parameter(help="A file with a value a line: search all of the warehouse for them afterwards.")] = None,
    session: Session = HERE,
    yes: Sure = False,
) -> int:
    """Erase what events say, for which all holds that is given here, and all that was made of it; the events keep their places.

    Snapshots are forgotten, read models are made anew, and the report lists what remains, and until when. Exit code 3 if something
    remains in the warehouse that somebody should see to.
    """
    erasure = Erasure(
        streams=list(stream) or None,
        tag=tag,
        where_field=None if field is None else _pair("--field", field),
        types=list(type) or None,
        after=after,
        until=until,
        where=where,
        fields={path: _json(path, text) for path, text in (_pair("--put", one) for one in put)} or None,
        metadata=metadata,
        tags=tags,
    )
    values = [line for line in (values_in.read_text().splitlines() if values_in else ()) if line]
    who, executor = named(by), executor_of(session.settings.executor)
    with session.open() as store, projection_bars() as bars:
        if not dry_run:
            with working("searching"):
                found = store.erase(erasure, by=who, why=why, dry_run=True)
            confirm(f"Erase {found.what}: {found.events:,} events of {len(found.streams):,} streams? {_BACK}", yes)
        report = erase_everywhere(
            store, session.uri, session.projections(), erasure, by=who, why=why, dry_run=dry_run, now=now, values=values, backups=backup,
            observer=bars, executor=executor,
        )  # fmt: skip
    if not dry_run:
        _published(session)
    return _told(session, report)


def reapply(
    *,
    source: Annotated[
        str | None, Parameter(name="--from", help="The warehouse whose audit tells what was erased, such as the one of before a restore. [this one]")
    ] = None,
    why: Reason,
    by: By = None,
    now: Now = False,
    session: Session = HERE,
    yes: Sure = False,
) -> int:
    """Erase again whatever was ever erased: after a restore from an older backup, or an erasure that was killed on its way."""
    confirm(f"Erase again what the audit of {source or session.uri} tells? {_BACK}", yes)
    with session.open() as store, projection_bars() as bars, nullcontext() if source is None else open_store(source) as other:
        report = reapply_everywhere(
            store, session.uri, session.projections(), other, by=named(by), why=why, now=now, observer=bars,
            executor=executor_of(session.settings.executor),
        )  # fmt: skip
    _published(session)
    return _told(session, report)


def _published(session: Session) -> None:
    """Anew, where somebody has published it: what it showed of read models was replaced."""
    if (path := publish_again(session.uri, session.the_domain().projections)) is not None:
        session.answer.note(f"published again: {path}")


def _told(session: Session, report: ErasureReport) -> int:
    if session.json:
        session.answer.facts("", report.to_json())
    else:
        session.answer.say(repr(report))
    to_see_to = [remnant for remnant in report.remains if remnant.until is None and remnant.what != BACKUPS]
    return FOUND if to_see_to and not report.dry_run else DONE


def _pair(option: str, text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise MisusedError(f"{option} {text!r} is no PATH=VALUE: write it such as customer.id=7")
    return path, value


def _json(path: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise MisusedError(f"--put {path}={text} has no JSON after the =: write null, a number, or \"text\" in quotes") from None
