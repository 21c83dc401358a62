"""Every build of every projection of a warehouse: which one serves, which are in the making, which are kept to go back to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from projections.errors import BuildError
from projections.models.filling import Filling, filling_of
from projections.models.fingerprint import fingerprint
from projections.projection import Projection
from store import KeyedTable, TableMovedError, delta_table, is_table

MAKING: Final = "making"
SERVING: Final = "serving"
KEPT: Final = "kept"
DROPPING: Final = "dropping"
_TIME: Final = pa.timestamp("us", tz="UTC")
_COLUMNS: Final = pa.schema(
    {
        "projection": pa.string(), "build": pa.string(), "version": pa.int32(), "made_by": pa.string(), "state": pa.string(),
        "begun_at": _TIME, "served_at": _TIME,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Build:
    """`build`: the name of its directory, `v<version>` or `v<version>-<number>`. `made_by`: the fingerprint of its code; None: unknown.

    `state`: "making", "serving", "kept" or "dropping". `served_at`: when it last began to serve.
    """

    projection: str
    build: str
    version: int
    made_by: str | None
    state: str
    begun_at: datetime | None = None
    served_at: datetime | None = None


class Builds:
    """A small Delta table beside the read models, `projections/_builds`; one commit of it is the switch from one build to another.

    A warehouse whose projections were never rebuilt has none: there the newest version that has a table serves.
    """

    def __init__(self, warehouse: str) -> None:
        self._root = f"{warehouse.rstrip('/')}/projections"
        self._table = KeyedTable(f"{self._root}/_builds", "builds", _COLUMNS, ("projection", "build"), description="The builds of the projections.")

    def uri(self, projection: str, build: str) -> str:
        return f"{self._root}/{projection}/{build}"

    def delta_version(self) -> int:
        """Of the list: it grows with every change of it; -1 where there is none."""
        return self._table.state().delta_version

    def all(self) -> list[Build]:
        """Those that are listed, of all projections: each that was ever rebuilt."""
        return _read(self._table.rows())

    def of(self, projection: Projection) -> list[Build]:
        """By the order in which they were begun."""
        known = [build for build in _read(self._table.rows()) if build.projection == projection.name]
        return known or self._unlisted(projection)

    def serving(self, projection: Projection) -> Build | None:
        """Whichever version it is of; None: nothing was ever made."""
        return next((build for build in self.of(projection) if build.state == SERVING), None)

    def unfinished(self, projection: Projection) -> Build | None:
        """The build in the making by this very code, which `begin` goes on with; None: there is none."""
        code = fingerprint(projection)
        return next((one for one in self.of(projection) if (one.state, one.version, one.made_by) == (MAKING, projection.version, code)), None)

    def begin(self, projection: Projection) -> Build:
        """A build to be made by this very code: one that was begun and not finished, or a new one. The first of all serves at once."""
        code = fingerprint(projection)

        def add(known: Sequence[Build]) -> list[Build]:
            if any((one.state, one.version, one.made_by) == (MAKING, projection.version, code) for one in known):
                return []
            taken, number, name = {one.build for one in known}, 1, f"v{projection.version}"
            while name in taken:
                number, name = number + 1, f"v{projection.version}-{number + 1}"
            now = datetime.now(UTC)
            return [Build(projection.name, name, projection.version, code, MAKING if known else SERVING, now, None if known else now)]

        known = self._change(projection, add)
        return next(one for one in reversed(known) if (one.version, one.made_by) == (projection.version, code) and one.state in (MAKING, SERVING))

    def beside(self, projection: Projection) -> Build:
        """The same, but never one that serves: where nothing was ever made, an empty build serves before this one does."""
        build = self.begin(projection)
        return build if build.state == MAKING else self.begin(projection)

    def switch(self, projection: Projection, build: str) -> Build:
        """Let this one serve; the one that did is kept. In one commit. BuildError: there is none, or not all of its shards are filled."""
        served_at, filling = datetime.now(UTC), self.filling(projection, build)
        if filling is not None and not filling.published:
            remedy = f"fill the others first: {', '.join(filling.left)}" if filling.left else "publish them first: `rebuild` it, or run `promote`"
            raise BuildError(projection.name, f"its build {build!r} cannot serve, {filling}", remedy)

        def swap(known: Sequence[Build]) -> list[Build]:
            chosen = _chosen(projection.name, known, build, (MAKING, KEPT, SERVING))
            before = [replace(one, state=KEPT, served_at=one.served_at or served_at) for one in known if one.state == SERVING and one.build != build]
            return [*before, replace(chosen, state=SERVING, served_at=served_at)]

        return _chosen(projection.name, self._change(projection, swap), build, (SERVING,))

    def roll_back(self, projection: Projection) -> Build:
        """Let the kept build that served last serve again. BuildError: none is kept."""
        kept = [one for one in self.of(projection) if one.state == KEPT]
        if not kept:
            raise BuildError(projection.name, "no earlier build is kept", "rebuild it from the code that made it")
        return self.switch(projection, max(kept, key=lambda one: (one.served_at is not None, one.served_at, one.version)).build)

    def drop(self, projection: Projection, build: str) -> None:
        """Remove a build and its files, for good. BuildError: it serves. After a crash, drop it again."""
        changed = self._change(projection, lambda known: [replace(_chosen(projection.name, known, build, (MAKING, KEPT, DROPPING)), state=DROPPING)])
        KeyedTable(self.uri(projection.name, build), projection.name, projection.columns, projection.key).remove()
        self._change(projection, lambda known: [], [one for one in changed if one.build == build])

    def filling(self, projection: Projection, build: str) -> Filling | None:
        """How far it is filled shard by shard; None: it is made otherwise."""
        # By another reader: the build may be of an older version, with other columns than are declared.
        uri = self.uri(projection.name, build)
        return filling_of(delta_table(uri).metadata().configuration) if is_table(uri) else None

    def _unlisted(self, projection: Projection) -> list[Build]:
        """What there is without a list: the tables of the versions up to the declared one."""
        versions = (version for version in range(projection.version, 0, -1) if is_table(self.uri(projection.name, f"v{version}")))
        newest = next(versions, None)
        if newest is None:
            return []
        older = [Build(projection.name, f"v{version}", version, None, KEPT) for version in versions]
        return [*reversed(older), Build(projection.name, f"v{newest}", newest, None, SERVING)]

    def _change(self, projection: Projection, decide: Callable[[Sequence[Build]], list[Build]], gone: Sequence[Build] = ()) -> list[Build]:
        """Commit what `decide` makes of the projection's builds, and of all that are listed from now on; decided anew after a lost race."""
        while True:
            turn, known = self._table.turn(), self.of(projection)
            listed = {one.build: one for one in known} | {one.build: one for one in decide(known)}
            after = [one for one in listed.values() if one.build not in {lost.build for lost in gone}]
            try:
                turn.commit(_table(after), _table(gone), {})
            except TableMovedError:
                continue
            return self.of(projection) if after else []


def _chosen(name: str, known: Sequence[Build], build: str, states: Sequence[str]) -> Build:
    found = next((one for one in known if one.build == build), None)
    if found is None or found.state not in states:
        told = ", ".join(f"{one.build} ({one.state})" for one in known) or "none"
        problem = f"has no build {build!r}" if found is None else f"has the build {build!r}, which is {found.state}"
        raise BuildError(name, f"it {problem}", f"take one of: {told}")
    return found


def _read(rows: pa.Table) -> list[Build]:
    builds = [Build(**row) for row in rows.to_pylist()]
    return sorted(builds, key=lambda one: (one.begun_at is not None, one.begun_at, one.version))


def _table(builds: Sequence[Build]) -> pa.Table:
    rows: list[dict[str, Any]] = [asdict(build) for build in builds]
    return pa.Table.from_pylist(rows, schema=_COLUMNS)
