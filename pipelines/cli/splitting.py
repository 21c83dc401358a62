"""`logs` and `split`: which logs the events are in, and more of them where one does not keep up."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from pipelines.cli.arguments import Sure
from pipelines.cli.confirming import confirm
from pipelines.cli.doer import By, Reason, named
from pipelines.cli.session import HERE, Session
from pipelines.cli.status import size
from store import open_logs

_QUESTION = "Events of different logs cannot be appended together or under a condition afterwards, and this cannot be taken back. Split {log}?"


def logs(*, session: Session = HERE) -> None:
    """The logs of the warehouse, and what each holds. One that was split takes no more events."""
    with open_logs(session.uri) as store:
        rows = [_told(log.name, log.size(), log.sealed, session.json) for log in store.each()]
    session.answer.rows("", rows)


def split(
    log: Annotated[str, Parameter(help="Which one, by its name; a warehouse begins with the log h.")] = "h",
    /,
    *,
    into: Annotated[int, Parameter(help="So many logs take its place.")] = 16,
    why: Reason,
    by: By = None,
    yes: Sure = False,
    session: Session = HERE,
) -> None:
    """Let several logs take the events of one from now on, each those of some streams, while writers and readers go on.

    Programs that opened the one log by `open_store` must open it again; those that use `open_logs` need not.
    """
    with open_logs(session.uri) as store:
        confirm(_QUESTION.format(log=log), yes)
        session.answer.facts("", {"log": log, "logs": ", ".join(store.split(log, into, by=named(by), why=why))})


def _told(name: object, held: Any, sealed: tuple[str, ...], as_json: bool) -> dict[str, Any]:
    data_bytes = held.data_bytes if as_json else size(held.data_bytes)
    split_into = list(sealed) if as_json else ", ".join(sealed) or None
    facts = {"log": str(name), "events": held.events, "files": held.files, "size": data_bytes}
    return {**facts, "delta version": held.delta_version, "split into": split_into}
