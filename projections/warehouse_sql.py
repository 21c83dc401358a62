"""SQL over a whole warehouse: the log, its snapshots, the dead letters and every read model, by name and at one position."""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from projections.built_in import BUILT_IN
from projections.errors import PausedError
from projections.explaining.past import as_of as rows_as_of
from projections.models.dead_letters import DeadLetters
from projections.models.kept import kept
from projections.models.memory_model import MemoryModel
from projections.models.read_model import ReadModel
from projections.models.serving_model import ServingModel
from projections.models.views import View, view_of
from projections.plain_views import PLAIN, plain_view
from projections.projection import Projection
from store import AsOf, EventStore, Grant, SqlLimits, Tables, asked_for

DEAD_LETTERS: Final = "dead_letters"
_LIMITS: Final = SqlLimits()


class WarehouseSql:
    """What `store.sql` asks, and the read models of these projections beside it; those of every warehouse are among them.

    A query sees everything at one position: the head when it is made, or `as_of`. A read model that is behind is caught up with it aside, in
    memory; one that is beyond, as in every query of the past, is made of its newest kept version at or below the position, or of the log. Both
    take the time that this takes, and neither changes anything. A table that a query does not name costs it nothing. Safe to use from many
    threads at once; also a context manager.
    """

    def __init__(self, store: EventStore, warehouse: str, projections: Sequence[Projection] = ()) -> None:
        self._store, self._letters = store, DeadLetters(warehouse)
        self._models = {one.name: ServingModel(warehouse, one) for one in (*BUILT_IN, *projections)}
        self._duckdb = duckdb.connect()
        views = {f"{one.name}{PLAIN}": (one.name, plain_view(self._duckdb, one)) for one in projections}
        self._plain = {name: (of, view) for name, (of, view) in views.items() if view is not None and name not in self._models}
        # DuckDB opens what a query names to know its columns. Of queries of others nothing shall be opened before they are looked at.
        self._blind = duckdb.connect(config={"enable_external_access": False, "python_enable_replacements": False, "lock_configuration": True})

    def tables(self) -> list[str]:
        """The names that a query may use, beside the macros. A typed table called with `_plain` has personal fields decrypted, for `sql` alone."""
        return ["events", "snapshots", DEAD_LETTERS, *self._models, *self._plain]

    def sql(self, query: str, params: Sequence[Any] | dict[str, Any] | None = None, as_of: AsOf | None = None) -> duckdb.DuckDBPyRelation:
        """NeedsRebuildError: other code made the rows that are asked for. ApplyError: they cannot be caught up, as an event cannot be applied.

        InvalidEventError: `as_of` is no place in the log; one that is to come means the head. Errors of the query itself are DuckDB's.
        """
        plain = asked_for(self._blind.cursor(), query, list(self._plain))
        position, tables = self._tables(query, as_of, self.tables(), {self._plain[name][0] for name in plain})
        views = {name: self._plain[name][1] for name in plain}
        return self._store.sql(query, params, position, tables={**tables, **views})

    def ask(
        self,
        query: str,
        params: Sequence[Any] | dict[str, Any] | None = None,
        as_of: AsOf | None = None,
        *,
        limits: SqlLimits = _LIMITS,
        grant: Grant | None = None,
    ) -> pa.Table:
        """The same for queries of others, as `EventStore.ask` answers them. Catching read models up is not within the limits.

        `grant`: what they may see; a table that it does not name is not there.
        """
        there = self.tables() if grant is None else [name for name in self.tables() if name in grant.tables]
        position, tables = self._tables(query, as_of, there)
        return self._store.ask(query, params, position, tables=tables, limits=limits, grant=grant)

    def _tables(self, query: str, as_of: AsOf | None, there: Sequence[str], besides: Set[str] = frozenset()) -> tuple[int, Tables]:
        """The position that the query is about, and those of the tables that it asks for, as they are there; and `besides`."""
        named = [name for name in there if name in self._models or name == DEAD_LETTERS]
        asked = asked_for(self._blind.cursor(), query, named) | besides
        # Read before the head is: of what they hold nothing can then lie beyond it.
        seen = {name: (model := self._models[name].now(), view_of(self._duckdb.cursor(), model)) for name in sorted(asked - {DEAD_LETTERS})}
        position = self._store.head() if as_of is None else self._store.deciding.loader.position(as_of)
        tables: dict[str, pa.Table | str] = {name: self._at(model, view, position) for name, (model, view) in seen.items()}
        if DEAD_LETTERS in asked:
            letters = self._letters.all()
            tables[DEAD_LETTERS] = letters.filter(pc.less_equal(letters["position"], position))
        return position, tables

    def close(self) -> None:
        self._duckdb.close()
        self._blind.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _at(self, model: ReadModel, view: View, position: int) -> pa.Table | str:
        if view.checkpoint == position:
            return view.source
        start = self._seen(model, view) if 0 < view.checkpoint < position else kept(model, position) if view.checkpoint else None
        return rows_as_of(self._store, model.projection, position, start).rows()

    def _seen(self, model: ReadModel, view: View) -> MemoryModel:
        """A copy of what was seen, to go on from: the model itself may be beyond the position by now."""
        with suppress(PausedError):                # which the copy is not
            model.turn()
        rows = view.source
        if isinstance(rows, str):
            rows = self._duckdb.cursor().sql(rows).to_arrow_table().cast(model.projection.columns)
        seen = MemoryModel(model.projection)
        seen.turn().commit(rows, view.checkpoint)
        return seen
