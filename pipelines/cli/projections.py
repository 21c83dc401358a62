"""`projections …`: what they are, bringing them up to the log, and the way from one build to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from pipelines.cli.arguments import QUIET, Count, Sure
from pipelines.cli.bars import projection_bars, working
from pipelines.cli.confirming import confirm
from pipelines.cli.outcome import DONE, FOUND, CommandError, MisusedError, ending, tell
from pipelines.cli.session import HERE, Session
from pipelines.executors import executor_of
from pipelines.published import publish_again
from projections import (
    SHARDS,
    Builds,
    CaughtUp,
    DeadLetters,
    Executor,
    Halt,
    Park,
    Projection,
    ProjectionError,
    ReadModel,
    Sail,
    ServingModel,
    diff_serving,
    fill,
    fill_build,
    make_build,
    plan_rebuild,
    rehearse,
    status,
    steps,
)
from store import EventStore, StoreError

app: Final = App("projections", help="List, run, follow, rebuild, compare and promote projections.", default_parameter=QUIET)
"""Commands register themselves here when this module is imported, and nothing else happens then."""

Names = Annotated[tuple[str, ...], Parameter(help="Their names. [all]")]
Name = Annotated[str, Parameter(help="Its name.")]
Parking = Annotated[bool, Parameter(help="Park the streams of events that cannot be applied, instead of halting there.")]
_EXECUTORS: Final = "Where the rows are made: serial, processes:4, ray, ray:address, sail, sail:grpc://host:port. [ALLUVIUM_EXECUTOR]"


@app.command(name="list")
def show(*, session: Session = HERE) -> None:
    """Each with its version, engine and key, what it reads, how it stands, and all of its builds."""
    with session.open() as store:
        found = [(one, status(store, session.uri, one)) for one in session.projections()]
    builds = Builds(session.uri)
    rows = [
        {
            "projection": one.name, "version": one.version, "engine": one.form.engine, "key": list(one.key), "reads": _reads(one),
            "state": now.state, "lag": now.lag, "rows": now.rows, "builds": [f"{build.build} ({build.state})" for build in builds.of(one)],
        }
        for one, now in found
    ]  # fmt: skip
    names = () if session.json else ("projection", "version", "engine", "key", "state", "lag", "rows", "builds")
    session.answer.rows("", rows, names)


@app.command
def run(names: Names = (), /, *, park: Parking = False, session: Session = HERE) -> int:
    """Bring them up to the head of the log, once. One that fails stops no other."""
    letters, code = DeadLetters(session.uri), DONE
    rows: list[dict[str, Any]] = []
    with session.open() as store, projection_bars() as bars:
        for projection in session.projections(names):
            model = ServingModel(session.uri, projection)
            try:
                done = fill(store, model, failing=Park(letters) if park else Halt(), observer=bars)
            except (ProjectionError, StoreError) as error:
                code = _failed(session, error)
                continue
            rows.append({"projection": projection.name, **_filled(done)})
    session.answer.rows("", rows)
    return code


@app.command
def follow(
    names: Names = (),
    /,
    *,
    park: Parking = False,
    metrics_port: Annotated[int | None, Parameter(help="Tell Prometheus what it does, at 127.0.0.1:PORT/metrics; 0: a free one.")] = None,
    session: Session = HERE,
) -> int:
    """Keep them within a second of the log, until Ctrl-C or SIGTERM."""
    from pipelines.follow import follow_chosen  # it may tell Prometheus, which all else does without
    from pipelines.metrics import EndpointError

    try:
        return follow_chosen(session.uri, session.projections(names), park, metrics_port)
    except EndpointError as error:
        raise CommandError(str(error)) from error


@app.command
def rebuild(
    names: Annotated[tuple[str, ...], Parameter(help="Their names. [those that need it]")] = (),
    /,
    *,
    plan: Annotated[bool, Parameter(help="Say what it would read and about how long it would take; change nothing.")] = False,
    keep: Annotated[bool, Parameter(help="Make the build, and let `promote` switch to it later.")] = False,
    park: Parking = False,
    executor: Annotated[str | None, Parameter(help=_EXECUTORS)] = None,
    session: Session = HERE,
) -> int:
    """Make their rows anew beside those that serve, and switch. What serves goes on serving; the old build stays, to `roll-back` to.

    Whoever rebuilds one that is being rebuilt is told by whom, and nothing happens. Cut off, it goes on where it was.
    """
    code, rows, where = DONE, list[dict[str, Any]](), executor_of(executor or session.settings.executor)
    with session.open() as store:
        chosen = session.projections(names) if names else [one for one in session.projections() if _needs(session, store, one)]
        for projection in chosen:
            try:
                rows.append(_planned(session, store, projection) if plan else _rebuilt(session, store, projection, keep, park, where))
            except (ProjectionError, StoreError) as error:
                code = _failed(session, error)
    if not plan and not keep:
        _publish_again(session)
    session.answer.rows("", rows)
    return code


@app.command(name="fill")
def fill_some(
    name: Name,
    shards: Annotated[tuple[str, ...], Parameter(help="Some of h0, h1, … hf. [all]")] = (),
    /,
    *,
    executor: Annotated[str | None, Parameter(help="Where they are folded: serial, processes:4, ray, ray:address. [ALLUVIUM_EXECUTOR]")] = None,
    session: Session = HERE,
) -> None:
    """Write the rows of some shards beside a new build: on any machine, in any order, again after a failure. When all are there, `promote` it."""
    if unknown := [shard for shard in shards if shard not in SHARDS]:
        raise MisusedError(f"there is no shard {', '.join(unknown)}: take some of {', '.join(SHARDS)}")
    where, projection = executor_of(executor or session.settings.executor), session.projection(name)
    with session.open() as store, working("folding"):
        build, done = fill_build(store, session.uri, projection, shards or SHARDS, executor=where)
    told = {"events": done.events, "rows": done.rows, "until": done.until, "left": list(done.left), "seconds": round(done.seconds, 3)}
    session.answer.facts("", {"projection": name, "build": build.build, **told})


@app.command
def diff(
    name: Name, /, *, rows: Annotated[Count, Parameter(help="So many of each kind at most. [20]")] = 20, session: Session = HERE
) -> int:
    """What readers would see change: if the build in the making served, or, where there is none, if the code of now did. Exit code 3 if anything."""
    projection, builds = session.projection(name), Builds(session.uri)
    with session.open() as store, working("comparing"):
        if (making := builds.unfinished(projection)) is not None:
            found = diff_serving(session.uri, ReadModel(builds.uri(name, making.build), projection))
        else:
            found = rehearse(store, session.uri, projection)
    session.answer.rows("", found.table(rows).to_pylist())
    against = "the code of now" if making is None else f"the build {making.build}"
    session.answer.note(f"{name}, what serves against {against}: {found!r}")
    return DONE if found.is_empty else FOUND


@app.command
def promote(
    name: Name,
    /,
    *,
    build: Annotated[str | None, Parameter(help="Which one, such as v2. [the one in the making, caught up first]")] = None,
    session: Session = HERE,
) -> None:
    """Let a build serve from now on, in one commit. The one that did is kept."""
    projection, builds = session.projection(name), Builds(session.uri)
    before = builds.serving(projection)
    if build is None:
        if builds.unfinished(projection) is None:
            raise CommandError(f"no build of {name} is in the making by the code of now: `alluvium projections rebuild {name} --keep` makes one")
        with session.open() as store, projection_bars() as bars:
            build = make_build(store, session.uri, projection, observer=bars).build.build
    serving = builds.switch(projection, build)
    _publish_again(session)
    session.answer.facts("", {"projection": name, "serving": serving.build, "before": None if before is None else before.build})


@app.command
def roll_back(name: Name, /, *, session: Session = HERE) -> None:
    """Let the build that served before serve again."""
    serving = Builds(session.uri).roll_back(session.projection(name))
    _publish_again(session)
    session.answer.facts("", {"projection": name, "serving": serving.build})


@app.command
def drop(
    name: Name, build: Annotated[str, Parameter(help="Such as v1. Not the one that serves.")], /, *, yes: Sure = False, session: Session = HERE
) -> None:
    """Remove a build and its files, for good."""
    projection = session.projection(name)
    confirm(f"Remove {build} of {name} and its files for good?", yes)
    Builds(session.uri).drop(projection, build)
    session.answer.facts("", {"projection": name, "dropped": build})


@app.command
def reset(name: Name, /, *, yes: Sure = False, session: Session = HERE) -> None:
    """Empty what serves, in place, and begin at the first event. Readers see it empty meanwhile: `rebuild` keeps serving."""
    projection = session.projection(name)
    confirm(f"Empty {name}? Readers see no rows until it has caught up; `rebuild` would go on serving.", yes)
    _on_serving(session, projection, ReadModel.reset)


@app.command
def pause(name: Name, /, *, why: Annotated[str, Parameter(help="For whoever wonders.")], session: Session = HERE) -> None:
    """Let no runner change it from now on. Its rows stay as they are."""
    _on_serving(session, session.projection(name), lambda model: model.pause(why))


@app.command
def resume(name: Name, /, *, session: Session = HERE) -> None:
    """Let runners go on."""
    _on_serving(session, session.projection(name), ReadModel.resume)


@app.command
def step(
    name: Name,
    /,
    *,
    stream: Annotated[str, Parameter(help="The stream whose events are gone through.")],
    after: Annotated[Count, Parameter(help="Past this version of the stream. [0]")] = 0,
    limit: Annotated[Count, Parameter(help="So many events at most. [20]")] = 20,
    session: Session = HERE,
) -> None:
    """Go through a stream event by event, with the rows that each one touched, before it (−) and after it (+). Nothing is written."""
    with session.open() as store:
        for stepped in steps(store, session.projection(name), stream, after=after, limit=limit):
            [event] = stepped.event.select(["position", "version", "type", "occurred_at", "data"]).to_pylist()
            before, now = stepped.before.to_pylist(), stepped.after.to_pylist()
            if session.json:
                session.answer.rows("", [{**event, "before": before, "after": now}])
                continue
            title = f"{event['version']}  {event['type']}  at position {event['position']:,}  {event['data']}"
            session.answer.rows(title, [{"": "−", **row} for row in before] + [{"": "+", **row} for row in now])


def _on_serving(session: Session, projection: Projection, change: Callable[[ReadModel], None]) -> None:
    model = ServingModel(session.uri, projection).now()
    change(model)
    with session.open() as store:
        session.answer.facts("", {"projection": projection.name, "state": status(store, session.uri, projection).state})


def _publish_again(session: Session) -> None:
    """After a switch, where other tools ask by a published database: its views are those of the builds that served when it was written."""
    if (path := publish_again(session.uri, session.the_domain().projections)) is not None:
        session.answer.note(f"published again: {path}")


def _failed(session: Session, error: Exception) -> int:
    ended = ending(error)
    assert ended is not None                       # every ProjectionError and StoreError has an ending
    return tell(ended, session.json)


def _reads(projection: Projection) -> list[str]:
    types, categories = projection.form.reads(projection), projection.categories or ()
    return [*(["all types"] if types is None else types), *(f"of {category}" for category in categories)]


def _filled(done: CaughtUp) -> dict[str, Any]:
    return {"events": done.events, "rows": done.rows, "checkpoint": done.checkpoint, "seconds": round(done.seconds, 3)}


def _needs(session: Session, store: EventStore, projection: Projection) -> bool:
    return status(store, session.uri, projection).state in ("new", "needs rebuild")


def _planned(session: Session, store: EventStore, projection: Projection) -> dict[str, Any]:
    plan = asdict(plan_rebuild(store, session.uri, projection))
    unfinished = plan.pop("unfinished")
    return {**plan, "seconds": round(plan["seconds"], 2), "unfinished": None if unfinished is None else unfinished["build"]}


def _rebuilt(
    session: Session, store: EventStore, projection: Projection, keep: bool, park: bool, executor: Executor | Sail | None
) -> dict[str, Any]:
    builds, failing = Builds(session.uri), Park(DeadLetters(session.uri)) if park else Halt()
    before = builds.serving(projection)
    with projection_bars() as bars:
        made = make_build(store, session.uri, projection, failing=failing, observer=bars, executor=executor)
    build = made.build if keep or made.build.state == "serving" else builds.switch(projection, made.build.build)
    was = before.build if before is not None and build.state == "serving" else None
    return {"projection": projection.name, "build": build.build, "state": build.state, "before": was, **_filled(made.filled)}
