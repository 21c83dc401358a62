"""A projection's rows as a Delta table: keyed, and changed only together with the checkpoint, in one durable commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from projections.errors import BuildError, CheckpointMovedError, NeedsRebuildError, PausedError
from projections.models.builds import Builds
from projections.models.fingerprint import fingerprint
from projections.models.hold import PAUSED, Hold, hold_of, without_hold
from projections.models.turn import FINGERPRINT, DeltaTurn, refused
from projections.projection import Projection
from store import File, KeyedTable, Maintained, TableMovedError


@dataclass(frozen=True, slots=True)
class ReadModel:
    """The read model of one version of a projection, at a path or an object-store URI. See `Model`; safe to use from many threads at once.

    Any Delta reader reads the table, and nobody else can write it. A model never written has no rows and checkpoint 0, and makes nothing.
    ReadModelRefusedError: the table is torn, or another shape than declared. StorageError: storage refuses; try again.
    """

    uri: str
    projection: Projection
    _table: KeyedTable = field(init=False, repr=False, compare=False)
    _code: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        declared = self.projection
        table = KeyedTable(self.uri, declared.name, declared.columns, declared.key, description=declared.description)
        object.__setattr__(self, "_table", table)  # opened when it is first asked for something
        object.__setattr__(self, "_code", fingerprint(declared))

    def __reduce__(self) -> tuple[type[ReadModel], tuple[str, Projection]]:
        return ReadModel, (self.uri, self.projection)

    @classmethod
    def under(cls, warehouse: str, projection: Projection) -> ReadModel:
        """The read model of the declared version in a warehouse: of its builds the one that serves, if one does."""
        builds = Builds(warehouse)
        build = builds.serving(projection)
        mine = build is not None and build.version == projection.version
        return cls(builds.uri(projection.name, build.build if build and mine else f"v{projection.version}"), projection)

    def rows(self, *columns: str, limit: int | None = None) -> pa.Table:
        """The rows, in the order of their keys, with these columns (or all); the first `limit` of them."""
        with refused(self.uri):
            return self._table.rows(columns or None, limit)

    def checkpoint(self) -> int:
        """The last position applied; 0 before the first."""
        with refused(self.uri):
            return self._table.state().txns.get(self.projection.name, 0)

    def row_count(self) -> int:
        with refused(self.uri):
            return self._table.state().row_count

    def delta_version(self) -> int:
        """The table's newest Delta version; -1 before the first."""
        with refused(self.uri):
            return self._table.state().delta_version

    def data_bytes(self) -> int:
        """Of the live Parquet files."""
        with refused(self.uri):
            return sum(file.size_bytes for file in self._table.state().leaves.files)

    def files(self) -> list[str]:
        """The live Parquet files, as DuckDB and Polars are given them."""
        with refused(self.uri):
            return self._table.files()

    def hold(self) -> Hold | None:
        """Why it does not go on, if so."""
        with refused(self.uri):
            return hold_of(self._table.state().marks)

    def made_by(self) -> str | None:
        """The fingerprint of the code that made its rows; None before the first commit."""
        with refused(self.uri):
            return self._table.state().marks.get(FINGERPRINT)

    def look(self) -> DeltaTurn:
        with refused(self.uri):
            return DeltaTurn(self.uri, self.projection, self._code, self._table.turn())

    def turn(self) -> DeltaTurn:
        """See `Model`. BuildError: it is being filled shard by shard, and they are not published yet."""
        turn = self.shard_turn()
        if (filling := turn.filling) is not None and not filling.published:
            others = f"fill the others ({', '.join(filling.left)}) by `fill_shards`"
            remedy = f"{others if filling.left else 'publish them by `publish_shards`'}, or drop the build"
            raise BuildError(self.projection.name, f"{filling} at {self.uri}", remedy)
        return turn

    def shard_turn(self) -> DeltaTurn:
        """The same for whoever fills it shard by shard."""
        turn = self.look()
        if (made_by := turn.marks.get(FINGERPRINT)) != self._code:
            raise NeedsRebuildError(self.projection.name, f"the rows at {self.uri} were made by other code ({made_by}, now {self._code})")
        if (hold := hold_of(turn.marks)) is not None and hold.kind == PAUSED:
            raise PausedError(self.uri, hold.since, hold.why)
        return turn

    def stage(self, rows: pa.Table) -> File:
        """Write rows, or keys alone, beside the table, for a commit that another process makes of them; see `KeyedTable.stage`."""
        with refused(self.uri):
            return self._table.stage(rows)

    def staged(self, file: File) -> pa.Table:
        with refused(self.uri):
            return self._table.staged(file)

    def merged(self, files: Sequence[File]) -> Iterator[pa.Table]:
        """The rows of staged files, block by block in the order of their keys. CheckpointMovedError: they are not recorded any more, and gone."""
        with refused(self.uri), self._moved():
            yield from self._table.merged(files)

    def merged_keys(self, files: Sequence[File]) -> Iterator[pa.Table]:
        """Their keys alone, each as often as it is there; those that are the same in one block."""
        with refused(self.uri), self._moved():
            yield from self._table.merged_keys(files)

    @contextmanager
    def _moved(self) -> Iterator[None]:
        try:
            yield
        except TableMovedError as error:
            raise CheckpointMovedError(self.uri, self.checkpoint()) from error

    def unstage(self, files: Sequence[File]) -> None:
        with refused(self.uri):
            self._table.unstage(files)

    def pause(self, why: str) -> None:
        """From now on runners refuse it, and one at work ends with its next batch, unwritten. Its rows stay as they are."""
        turn = self.look()
        turn.mark({**turn.marks, **Hold.now(PAUSED, why).mark()})

    def resume(self) -> None:
        """Let runners go on. Nothing happens if it is not paused."""
        turn = self.look()
        if (marks := without_hold(turn.marks, PAUSED)) != turn.marks:
            turn.mark(marks)

    def reset(self) -> None:
        """Begin anew, in place: no rows and checkpoint 0, in one commit. A pause stays. To keep serving meanwhile, `rebuild` it instead."""
        self.look().reset()

    def adopt(self) -> None:
        """Say that the code of now makes the rows that are there, and go on with it: after a change that touches no row applied so far.

        Such as a step for old events that could not be read before. What is said wrongly here only a rebuild puts right.
        """
        turn = self.look()
        turn.mark({**turn.marks, FINGERPRINT: self._code})

    def maintain(self, dry_run: bool = False) -> Maintained:
        """Merge small files, vacuum, write a checkpoint, clean the log. Runners do it by themselves, as it falls due."""
        with refused(self.uri):
            return self._table.maintain(dry_run)
