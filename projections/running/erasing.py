"""Erasing, and all that was made of what is erased: read models are made anew, letters thrown away, old builds removed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.errors import ProjectionError, UnderWayError
from projections.forms.sql import Sql
from projections.models.builds import SERVING, Builds
from projections.models.dead_letters import DeadLetters
from projections.models.leases import Leases
from projections.observer import LOGGED, Observer
from projections.projection import Projection
from projections.running.batches import stored_types
from projections.running.executors import Executor
from projections.running.failing import Failing, Halt
from projections.running.rebuilding import rebuild
from projections.sail.sail import Sail
from store import READ_MODELS, Erasure, ErasureReport, EventStore, Remnant, StoreError, check_values, past_erasures, reapply

_HALT: Final = Halt()
_PAYLOAD: Final = re.compile(r"\b(data|metadata|tags)\b|(?<!\()\*", re.IGNORECASE)
"""What a select says that reads more of an event than an erasure leaves; or everything."""


@dataclass(frozen=True, slots=True)
class Affected:
    """Events that were erased: their streams and their types. What was made before `began_at` may hold what they said; None: whenever it was made."""

    streams: frozenset[str]
    types: frozenset[str]
    began_at: datetime | None = None

    def may_be_in(self, projection: Projection) -> bool:
        """By types, categories, and whether a select reads the payload at all."""
        if isinstance(projection.form, Sql) and not _PAYLOAD.search(projection.form.select):
            return False
        types, categories = stored_types(projection), projection.categories
        if types is not None and self.types.isdisjoint(types):
            return False
        return categories is None or any(stream_id.partition("-")[0] in categories for stream_id in self.streams)


def erase_everywhere(
    store: EventStore,
    warehouse: str,
    projections: Sequence[Projection],
    erasure: Erasure,
    *,
    by: str,
    why: str,
    dry_run: bool = False,
    now: bool = False,
    values: Sequence[str] = (),
    backups: Sequence[str] = (),
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
    executor: Executor | Sail | None = None,
) -> ErasureReport:
    """`EventStore.erase`, and then: every read model that may have seen these events is made anew, beside what serves, and switched to; all of its
    other builds are removed with their files, so that nobody can roll back to what was erased. Parked events that were erased are thrown away.

    A projection that cannot be rebuilt is left serving as it is, and the report names it: mend it and call this again. The same again completes
    whatever was left, be it that an earlier call was killed: it looks up in `$audit` what was ever erased, and which builds are older.
    Live models in memory begin anew by themselves. Errors as of `erase`.
    """
    check_values(values)
    report = store.erase(erasure, by=by, why=why, dry_run=dry_run, now=now, backups=backups)
    affected = Affected(frozenset(report.streams), frozenset(report.types))
    if dry_run:
        seen = [projection.name for projection in projections if affected.may_be_in(projection)]
        return report.and_also([], [Remnant("read models to rebuild", ", ".join(seen) or "none", None, "the erasure makes them anew")], [READ_MODELS])
    return _FollowUp(store, warehouse, report, failing, observer, executor).done(projections, now, values)


def reapply_everywhere(
    store: EventStore,
    warehouse: str,
    projections: Sequence[Projection],
    source: EventStore | None = None,
    *,
    by: str,
    why: str,
    now: bool = False,
    values: Sequence[str] = (),
    failing: Failing = _HALT,
    observer: Observer = LOGGED,
    executor: Executor | Sail | None = None,
) -> ErasureReport:
    """`store.reapply`, and then what `erase_everywhere` does with all that was made of these events. Errors as of `reapply`."""
    check_values(values)
    report = reapply(store, source, by=by, why=why, now=now)
    return _FollowUp(store, warehouse, report, failing, observer, executor).done(projections, now, values)


class _FollowUp:
    def __init__(
        self,
        store: EventStore,
        warehouse: str,
        report: ErasureReport,
        failing: Failing,
        observer: Observer,
        executor: Executor | Sail | None,
    ) -> None:
        self._store, self._warehouse, self._report = store, warehouse, report
        self._failing, self._observer, self._executor = failing, observer, executor
        self._builds = Builds(warehouse)
        erased = [Affected(frozenset(report.streams), frozenset(report.types))] if report.events else []
        self._affected = [*erased, *(Affected(one.streams, one.types, one.began_at) for one in past_erasures(store))]

    def done(self, projections: Sequence[Projection], now: bool, values: Sequence[str]) -> ErasureReport:
        """The report of all of it."""
        gone, remains = list(self.letters(now)), list[Remnant]()
        for projection in projections:
            made, left = self.made_anew(projection)
            gone += made
            remains += left
        remains += self.unknown(projections)
        return self._report.and_also(gone, remains, [READ_MODELS]).searched(self._warehouse, values)

    def letters(self, now: bool) -> Iterator[str]:
        """Those of streams in which something was erased: by their place in the log they would come back with what they said."""
        letters = DeadLetters(self._warehouse)
        streams = {stream_id for one in self._affected for stream_id in one.streams}
        all_letters = letters.all()
        mine = all_letters.filter(pc.is_in(all_letters["stream_id"], pa.array(sorted(streams), pa.string())))
        if len(mine):
            letters.remove(mine)
            yield f"{len(mine):,} dead letters of these streams are thrown away"
        if now and len(all_letters):
            letters.purge()

    def made_anew(self, projection: Projection) -> tuple[list[str], list[Remnant]]:
        """What was done, and what is left to be done."""
        older = [build.build for build in self._builds.of(projection) if self._may_hold(projection, build.begun_at)]
        if not older:
            return [], []
        try:
            self._check_free(projection)
            self._drop(projection, (one for one in older if one != self._serving(projection)))
            if (serving := self._serving(projection)) in older:
                rebuild(self._store, self._warehouse, projection, failing=self._failing, observer=self._observer, executor=self._executor)
                self._drop(projection, [str(serving)])
        except (ProjectionError, StoreError) as error:
            return [], [Remnant("a read model to rebuild", f"{projection.name}: {error}", None, "mend it, and erase again, or rebuild and drop")]
        return [f"the read model {projection.name} is made anew, and what it was before is removed ({', '.join(older)})"], []

    def unknown(self, projections: Sequence[Projection]) -> list[Remnant]:
        """Read models that are there, and that nobody declares any more."""
        if not self._affected:
            return []
        names = sorted({build.projection for build in self._builds.all()} - {projection.name for projection in projections})
        remedy = "rebuild and drop them by the code that declares them, or remove their folders"
        return [Remnant("read models that are not declared", ", ".join(names), None, remedy)] if names else []

    def _may_hold(self, projection: Projection, begun_at: datetime | None) -> bool:
        older = (one for one in self._affected if one.began_at is None or begun_at is None or begun_at <= one.began_at)
        return any(one.may_be_in(projection) for one in older)

    def _check_free(self, projection: Projection) -> None:
        """A build that somebody is making now may have read the events before."""
        if (lease := Leases(self._warehouse).of(projection.name)) is not None:
            raise UnderWayError(projection.name, lease.owner, lease.since)

    def _serving(self, projection: Projection) -> str | None:
        return next((build.build for build in self._builds.of(projection) if build.state == SERVING), None)

    def _drop(self, projection: Projection, builds: Iterable[str]) -> None:
        for build in builds:
            self._builds.drop(projection, build)
