"""`snapshots …`: saved states of aggregates."""

from __future__ import annotations

from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Count, Sure
from pipelines.cli.bars import working
from pipelines.cli.confirming import confirm
from pipelines.cli.outcome import DONE, FOUND, CommandError
from pipelines.cli.replaying import plain
from pipelines.cli.session import HERE, Session
from store import Aggregate, rebuild_snapshots, verify_snapshots

app: Final = App("snapshots", help="See, take, check or forget saved states.", default_parameter=QUIET)
_SAVED: Final = """
    select aggregate, schema_version, count(distinct stream_id) as streams, count(*) as snapshots, max(position) as position, max(taken_at) as last
    from snapshots group by all order by aggregate, schema_version
"""
_SAMPLE: Final = "select distinct stream_id from snapshots where aggregate = ? order by random() limit ?"

Names = Annotated[tuple[str, ...], Parameter(help="Aggregates of the domain. [all that have a policy]")]


@app.command(name="list")
def show(*, session: Session = HERE) -> None:
    """Of each aggregate and shape: of how many streams, how many, the newest position, and when the last one was taken."""
    with session.open() as store:
        session.answer.rows("Snapshots", store.sql(_SAVED).to_arrow_table().to_pylist())


@app.command
def take(aggregates: Names = (), /, *, session: Session = HERE) -> None:
    """Fold every stream of their categories in full, and save its state: after `evolve` has changed, or to be quick from now on."""
    with session.open() as store, working("folding"):
        rows = [{"aggregate": one.name, "snapshots": rebuild_snapshots(store, one)} for one in _chosen(session, aggregates)]
    session.answer.rows("", rows)


@app.command
def check(
    aggregates: Names = (),
    /,
    *,
    sample: Annotated[Count, Parameter(help="So many streams of each, chosen at random. [100]")] = 100,
    session: Session = HERE,
) -> int:
    """Fold streams that have a snapshot in full, and compare. Exit code 3 if one disagrees: its code was changed without its schema_version."""
    rows: list[dict[str, Any]] = []
    with session.open() as store, working("folding"):
        for one in _chosen(session, aggregates):
            ids = [stream.partition("-")[2] for (stream,) in store.sql(_SAMPLE, [one.name, sample]).fetchall()]
            wrong = list(verify_snapshots(store, one, ids))
            rows += [
                {"aggregate": one.name, "stream_id": at.stream_id, "version": at.version, "saved": plain(saved), "folded": plain(folded)}
                for at, saved, folded in wrong
            ]
            session.answer.note(f"{one.name}: {len(ids):,} streams looked at, {len(wrong):,} disagree")
    session.answer.rows("Disagreements", rows, ("aggregate", "stream_id", "version", "saved", "folded"))
    return FOUND if rows else DONE


@app.command
def forget(
    aggregate: Annotated[str, Parameter(help="The name under which they were saved; it need not be of the domain any more.")],
    /,
    *,
    stream: Annotated[tuple[str, ...], Parameter(help="Of these streams alone, as often as wanted.")] = (),
    yes: Sure = False,
    session: Session = HERE,
) -> None:
    """Drop snapshots. They can be made again from the events."""
    confirm(f"Drop the snapshots of {aggregate}{' of these streams' if stream else ''}?", yes)
    with session.open() as store:
        session.answer.facts("", {"aggregate": aggregate, "forgotten": store.snapshots.forget(aggregate, list(stream) or None)})


def _chosen(session: Session, names: tuple[str, ...]) -> list[Aggregate[Any]]:
    there = {one.name: one for one in session.the_domain().aggregates if one.snapshots is not None}
    for name in names:
        if name not in there:
            raise CommandError(f"no aggregate {name!r} has a policy for snapshots: take some of {', '.join(there) or 'none'}")
    return [there[name] for name in names or there]
