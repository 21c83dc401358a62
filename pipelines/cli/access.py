"""`access`: what the present credentials can do with the warehouse, and what others may see in SQL."""

from __future__ import annotations

import secrets
from typing import Final

from cyclopts import App

from pipelines.cli.arguments import QUIET
from pipelines.cli.outcome import FOUND, MisusedError
from pipelines.cli.session import HERE, Session
from projections import token_hash
from store import check_access

app: Final = App("access", help="See what these credentials can do, and what is granted to others.", default_parameter=QUIET)
_TOKEN_BYTES: Final = 32


@app.command
def check(*, session: Session = HERE) -> int | None:
    """Try it, harmlessly, place by place: list, read, create, replace, remove. Says which capability that is at the log of events.

    Exits with 3 where it is none, or not wholly one: who may create and also replace or remove, but not both, has more than append-only.
    """
    found = check_access(session.uri)
    session.answer.rows("access", [access._asdict() | {"capability": access.capability} for access in found])
    events = found[0]
    odd = events.capability == "append-only" and bool(events.replaces or events.removes)
    session.answer.facts("capability", {"events": events.capability, "more_than_that": odd or None})
    return FOUND if odd or events.capability == "none" else None


@app.command
def grants(*, session: Session = HERE) -> None:
    """List the grants of ALLUVIUM_GRANTS, and how many tokens each is given to."""
    there = session.grants()
    if there is None:
        raise MisusedError("ALLUVIUM_GRANTS is not set: set it to the file that names the grants")
    rows = [
        {
            "grant": name, "tokens": len(granted.tokens), "categories": list(granted.grant.categories), "streams": list(granted.grant.streams),
            "types": list(granted.grant.types), "columns": list(granted.grant.granted_columns), "tables": list(granted.grant.tables),
        }
        for name, granted in there.items()
    ]  # fmt: skip
    session.answer.rows("grants", rows)


@app.command
def token(*, session: Session = HERE) -> None:
    """Make a token: itself, for who shall have it, and its SHA-256, for the file of grants. It is kept nowhere."""
    made = secrets.token_urlsafe(_TOKEN_BYTES)
    session.answer.facts("", {"token": made, "sha256": token_hash(made)})
