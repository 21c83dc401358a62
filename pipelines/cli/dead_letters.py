"""`dead-letters …`: events that a projection could not apply, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Final

import pyarrow.compute as pc
from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Count, Sure
from pipelines.cli.confirming import confirm
from pipelines.cli.session import HERE, Session
from projections import DeadLetters, ServingModel
from projections import discard as discard_letters
from projections import retry as retry_letters

app: Final = App("dead-letters", help="See, retry or give up events that could not be applied.", default_parameter=QUIET)
_SHOWN: Final = ("projection", "build", "position", "stream_id", "type", "failed", "error", "parked_at")

Name = Annotated[str, Parameter(help="The projection.")]
Stream = Annotated[str, Parameter(help="The stream whose events are parked.")]


@app.command(name="list")
def show(
    *,
    projection: Annotated[str | None, Parameter(help="Of this one alone.")] = None,
    limit: Annotated[Count, Parameter(help="So many are shown to people. [50]")] = 50,
    session: Session = HERE,
) -> None:
    """Each with the event, the error, and since when it is parked; those that only wait behind a failed one are not `failed` themselves."""
    letters = DeadLetters(session.uri).all()
    if projection is not None:
        letters = letters.filter(pc.equal(letters["projection"], session.projection(projection).name))
    names = letters.column_names if session.json else _SHOWN
    rows = ({name: _first_line(row[name]) if name == "error" and not session.json else row[name] for name in names} for row in letters.to_pylist())
    session.answer.rows("Dead letters", rows, names, limit=limit, more="--limit or --json")


@app.command
def retry(projection: Name, stream: Stream, /, *, session: Session = HERE) -> None:
    """Apply them again, in order, in one commit. If one still fails, nothing has changed."""
    model = ServingModel(session.uri, session.projection(projection))
    session.answer.facts("", {"projection": projection, "stream_id": stream, "retried": retry_letters(DeadLetters(session.uri), model, stream)})


@app.command
def discard(
    projection: Name,
    stream: Stream,
    /,
    *,
    yes: Sure = False,
    session: Session = HERE,
) -> None:
    """Give them up, for good: the stream goes on without them in this read model. The log keeps its events."""
    model = ServingModel(session.uri, session.projection(projection))
    confirm(f"Give up the parked events of {stream} in {projection}, for good?", yes)
    session.answer.facts("", {"projection": projection, "stream_id": stream, "discarded": discard_letters(DeadLetters(session.uri), model, stream)})


def _first_line(text: str | None) -> str | None:
    return text.splitlines()[0] if text else text
