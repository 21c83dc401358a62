"""`keys …`: those of the subjects of personal data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Sure
from pipelines.cli.confirming import confirm
from pipelines.cli.doer import By, Reason, Why, named
from pipelines.cli.outcome import CommandError
from pipelines.cli.session import HERE, Session
from pipelines.keys import keys_of
from store import UNKNOWN, EventStore, Keys, KeysStatus, KeyTable, open_store

app: Final = App("keys", help="See, delete, rotate and wrap the keys of personal data.", default_parameter=QUIET)

Subject = Annotated[str, Parameter(allow_leading_hyphen=True, help="Whose: what the events call them by, such as a customer's id.")]


@app.command
def status(*, session: Session = HERE) -> None:
    """How many subjects have keys, how many were deleted, and by which master key they are wrapped; no key is shown."""
    found = _table(session).status()
    told = {"subjects": found.subjects, "keys": found.keys, "deleted_subjects": found.deleted, "wrapped_by": _wrapped_by(session, found)}
    session.answer.facts("", told)


@app.command
def delete(
    subject: Subject,
    /,
    *,
    why: Reason,
    by: By = None,
    yes: Sure = False,
    session: Session = HERE,
) -> None:
    """Delete the keys of a subject, for good: what was encrypted by them is unreadable then, in every copy.

    Processes that are at work forget them within 60 s.
    """
    confirm(f"Delete the keys of {subject}? What was encrypted by them is lost for good.", yes)
    with _opened(session) as store:
        ref, count = store.privacy.ref(subject), store.privacy.forget(subject, by=named(by), why=why)
    session.answer.facts("", {"subject": subject, "ref": ref, "keys_deleted": count})


@app.command
def rotate(subject: Subject, /, *, by: By = None, why: Why = UNKNOWN, session: Session = HERE) -> None:
    """Encrypt what comes of a subject by a new key. What is there stays readable by the old ones."""
    with _opened(session) as store:
        session.answer.facts("", {"subject": subject, "n": store.privacy.rotate(subject, by=named(by), why=why)})


@app.command
def rewrap(*, session: Session = HERE) -> None:
    """Wrap every key by the first master key of ALLUVIUM_MASTER_KEY, or by none if there is none. Then the others need not be given any more."""
    table = _table(session)
    session.answer.facts("", {"keys_rewrapped": table.rewrap(), "wrapped_by": _wrapped_by(session, table.status())})


def _wrapped_by(session: Session, status: KeysStatus) -> Any:
    """Master keys by name, each with how many keys it wraps."""
    named = {name or "none": count for name, count in status.masters.items()}
    return named if session.json else ", ".join(f"{name} ({count:,})" for name, count in named.items()) or None


def _keys(session: Session) -> Keys:
    if (keys := keys_of(session.settings)) is None:
        raise CommandError("ALLUVIUM_KEYS is none, so there are no keys here: run it where they are, or leave the setting out for the table")
    return keys


def _table(session: Session) -> KeyTable:
    keys = _keys(session)
    if not isinstance(keys, KeyTable):
        raise CommandError(f"the keys are kept by {type(keys).__name__}, which sees to them itself: this is for the table of the warehouse")
    return keys


@contextmanager
def _opened(session: Session) -> Iterator[EventStore]:
    with open_store(session.uri, privacy=session.the_domain().event_types.privacy(_keys(session))) as store:
        yield store
