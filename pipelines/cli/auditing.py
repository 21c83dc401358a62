"""`audit …`: what was done to the store and by whom, and proof that nothing else was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final

import orjson
from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Count
from pipelines.cli.bars import bar
from pipelines.cli.doer import By, Why, named
from pipelines.cli.outcome import DONE, FOUND
from pipelines.cli.session import HERE, Session
from store import Deed, Proof, PublishedHead, RecordedEvent

app: Final = App("audit", help="See what was done to the store, attest what it holds, and check it.", default_parameter=QUIET)
_COLUMNS: Final = ("position", "recorded_at", "by", "type", "why", "what")


@app.default
def deeds(
    *,
    limit: Annotated[Count, Parameter(help="So many are shown to people. [50]")] = 50,
    session: Session = HERE,
) -> None:
    """What was done to the store, by whom, when and why: erasures, keys that were deleted, restores, repairs, splits."""
    with session.open() as store:
        rows = [_deed(event, deed, session.json) for event, deed in store.audit.deeds()]
    session.answer.rows("Deeds", rows, _COLUMNS, limit=limit, more="--limit or --json")


@app.command
def attest(*, by: By = None, why: Why = "as every day", session: Session = HERE) -> None:
    """Say in the log, by digests, what it holds up to now; the heads to publish where nobody of you can change them, one line a log."""
    with session.open() as store, bar("attesting", "events") as told:
        heads = store.audit.attest(by=named(by), why=why, progress=told)
    _tell(session, heads)


@app.command
def head(*, session: Session = HERE) -> None:
    """The heads as of the last time that the log was attested, one line a log."""
    with session.open() as store:
        heads = store.audit.heads()
    _tell(session, heads)


@app.command
def check(
    heads: Annotated[tuple[str, ...], Parameter(help="Heads that were published of this warehouse, each in quotes.", negative=())] = (),
    /,
    *,
    after: Annotated[Count, Parameter(help="Leave out events up to this position.")] = 0,
    session: Session = HERE,
) -> int:
    """Compare all that was attested with what the log holds, and with published heads. Exit code 3 if something is not what it was."""
    with session.open() as store, bar("checking", "events") as told:
        proofs = store.audit.check(*heads, after=after, progress=told)
    for finding in (finding for proof in proofs for finding in proof.findings):
        session.answer.note(str(finding))
    session.answer.rows("", [_proof(proof, session.json) for proof in proofs])
    changes = [
        {"log": proof.log, "positions": f"{one.first:,} to {one.last:,}", "erasures": list(one.erasures), "proved since": one.since}
        for proof in proofs
        for one in proof.changes
    ]
    if changes and not session.json:
        session.answer.rows("Payloads that erasures changed", changes)
    return DONE if all(proof.sound for proof in proofs) else FOUND


def _tell(session: Session, heads: Iterable[PublishedHead]) -> None:
    told = list(heads)
    if session.json:
        session.answer.rows("", ({"head": str(one), "log": one.log, "position": one.position, "attested_at": one.attested_at} for one in told))
    elif not told:
        session.answer.note("nothing was attested yet: `alluvium audit attest`")
    for one in () if session.json else told:
        session.answer.say(str(one))


def _proof(proof: Proof, as_json: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"log": proof.log, "sound": proof.sound, "attested_up_to": proof.position, "links": proof.links, "events": proof.events}
    if not as_json:
        return {**facts, "findings": len(proof.findings), "seconds": round(proof.seconds, 3)}
    findings = [{"where": one.where, "problem": one.problem, "remedy": one.remedy, "damage": one.damage} for one in proof.findings]
    changes = [{"first": one.first, "last": one.last, "erasures": list(one.erasures), "since": one.since} for one in proof.changes]
    return {**facts, "findings": findings, "erased_since": changes, "seconds": round(proof.seconds, 3)}


def _deed(event: RecordedEvent, deed: Deed, as_json: bool) -> dict[str, Any]:
    what = deed.what if as_json else orjson.dumps(deed.what).decode()
    return {"position": event.position, "recorded_at": event.recorded_at, "by": deed.by, "type": deed.type, "why": deed.why, "what": what}
