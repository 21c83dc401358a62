"""Rebuilding: the same loop into a build beside the one that serves, then one atomic switch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from projections.errors import UnderWayError
from projections.forms.sql import Sql
from projections.models.builds import SERVING, Build, Builds
from projections.models.filling import SHARDS
from projections.models.leases import Leases
from projections.models.read_model import ReadModel
from projections.observer import LOGGED, Observer
from projections.projection import Projection
from projections.running.executors import Executor
from projections.running.failing import Failing, Halt
from projections.running.fill_shards import Filled, fill_shards, publish_shards
from projections.running.runner import CaughtUp, fill, lag
from projections.running.sail_fill import check_on_sail, fill_on_sail
from projections.running.shard_fill import fill_by_shard
from projections.sail.sail import Sail
from store import EventStore

_HALT: Final = Halt()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`build` serves now. `before`: the one that did, and is kept until it is dropped."""

    build: Build
    before: Build | None
    filled: CaughtUp


@dataclass(frozen=True, slots=True)
class Made:
    """`build` has caught up with the log, and may be looked at as `model`. It does not serve yet, but for the first of all."""

    build: Build
    model: ReadModel
    filled: CaughtUp


def rebuild(
    store: EventStore,
    warehouse: str,
    projection: Projection,
    *,
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
    executor: Executor | Sail | None = None,
) -> Rebuilt:
    """Make the rows anew from the first event, beside those that serve, and switch when they have caught up with the log.

    Whoever reads goes on reading the old build, which is kept: `roll_back` returns to it, `drop` removes it. After a crash or an error
    run it again: it goes on where it was. ApplyError: mend the projection, or park what cannot be applied (`failing`: letters of the
    new build); what serves is not touched. UnderWayError: somebody is making a build of it already.

    `executor`: where the rows of a projection that is by stream are made, if its own code makes them and nothing is to be parked: see
    `fill_by_shard`; or Sail, for those of one in SQL: see `fill_on_sail`, and DeclarationError there. All others are filled here.
    """
    builds = Builds(warehouse)
    before = builds.serving(projection)
    made = make_build(store, warehouse, projection, failing=failing, observer=observer, executor=executor)
    build = made.build if made.build.state == SERVING else builds.switch(projection, made.build.build)
    return Rebuilt(build, before, made.filled)


def make_build(
    store: EventStore,
    warehouse: str,
    projection: Projection,
    *,
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
    executor: Executor | Sail | None = None,
) -> Made:
    """A rebuild without its switch: the build that is in the making by this very code, or a new one, caught up with the log.

    To look at it first, then `Builds.switch`. One that was filled shard by shard is published first. Errors as of `rebuild`; BuildError: it is
    being filled so, and some shards are missing.
    """
    if isinstance(executor, Sail) and isinstance(projection.form, Sql):
        check_on_sail(projection)
    with Leases(warehouse).held(projection.name):
        builds = Builds(warehouse)
        build = builds.begin(projection)
        model = ReadModel(builds.uri(projection.name, build.build), projection)
        published = _published(model)
        filled = _filled(store, warehouse, model, failing, observer, executor)
        closer = _closer(store, model, filled, failing, observer)
        return Made(build, model, replace(closer, rows=published.rows + closer.rows, seconds=published.seconds + closer.seconds))


def fill_build(
    store: EventStore,
    warehouse: str,
    projection: Projection,
    shards: Sequence[str] = SHARDS,
    *,
    executor: Executor | Sail | None = None,
) -> tuple[Build, Filled]:
    """`fill_shards` into the build that is filled by this very code, or a new one, beside the one that serves. When all shards are there,
    `rebuild` and `make_build` publish them and go on from there; until then both refuse it (BuildError).

    `executor`: as of `rebuild`. UnderWayError: somebody is making a build of it already, and not by shard. Other errors as of `fill_shards`.
    """
    builds = Builds(warehouse)
    build = builds.beside(projection)
    model = ReadModel(builds.uri(projection.name, build.build), projection)
    if model.look().filling is None and (lease := Leases(warehouse).of(projection.name)) is not None:
        raise UnderWayError(projection.name, lease.owner, lease.since)
    chosen = None if isinstance(executor, Sail) or not is_dealt_out(projection) else executor
    return build, fill_shards(store, model, shards, warehouse=warehouse, executor=chosen)


def _filled(
    store: EventStore, warehouse: str, model: ReadModel, failing: Failing, observer: Observer, executor: Executor | Sail | None
) -> CaughtUp:
    if isinstance(executor, Sail):
        if isinstance(model.projection.form, Sql):
            return fill_on_sail(store, warehouse, model, executor, failing=failing, observer=observer)
    elif executor is not None and is_dealt_out(model.projection) and isinstance(failing, Halt):
        return fill_by_shard(warehouse, model, executor=executor, observer=observer)
    return fill(store, model, failing=failing, observer=observer)


def is_dealt_out(projection: Projection) -> bool:
    """Can tasks make its rows, and would they be quicker? Only where it is Python that takes the time: other engines take all cores by themselves."""
    return projection.by_stream and projection.form.engine == "python"


def _published(model: ReadModel) -> CaughtUp:
    """Of a build that was filled shard by shard: its rows, if all are there and nobody has put them in."""
    started, filling = time.perf_counter(), model.look().filling
    rows = publish_shards(model) if filling is not None and not filling.left else 0
    return CaughtUp(0, rows, model.checkpoint(), time.perf_counter() - started)


def _closer(store: EventStore, model: ReadModel, filled: CaughtUp, failing: Failing, observer: Observer) -> CaughtUp:
    """Up to the head, nearly, which has moved on meanwhile."""
    while lag(store, model):                       # what came meanwhile is little, and then less
        again = fill(store, model, failing=failing, observer=observer)
        filled = CaughtUp(filled.events + again.events, filled.rows + again.rows, again.checkpoint, filled.seconds + again.seconds)
        if again.events * 10 < filled.events:      # the rest is for whoever follows
            break
    return filled
