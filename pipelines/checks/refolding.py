"""Rows against the same events folded anew: rebuild equals incremental."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

import duckdb
import pyarrow as pa

from pipelines.checks.check import SHOWN_ROWS, Check, Look, Verdict
from projections import (
    MemoryModel,
    PausedError,
    Projection,
    ReadModel,
    RowDiff,
    ServingModel,
    Sql,
    as_of,
    diff,
    diff_tables,
    fold_shards,
)

_SAMPLE_ROWS: Final = 100
_SCANNED: Final = 10
"""So many times as many events a select over a few keys may scan: it holds no rows of others."""


def same_as_folded_anew(projection: Projection) -> Check:
    """Where the log is longer than it may look at: of some streams if rows follow streams, of some keys if a select makes them, else not at all."""
    holds = "Rows are those that the same events give when they are folded anew, from the first one."
    return Check(name="rebuild", holds=holds, look=lambda look: _look(look, projection))


def _look(look: Look, projection: Projection) -> Verdict:
    model = ServingModel(look.warehouse, projection).now()
    with suppress(PausedError):
        model.turn()                               # rows of other code are no matter of this check: NeedsRebuildError
    checkpoint, most = model.checkpoint(), look.most
    if most is None or checkpoint <= most:
        found, how = _all(look, model)
    elif projection.by_stream:
        found, how = _some_streams(look, model, most)
    elif isinstance(projection.form, Sql) and checkpoint <= _SCANNED * most:
        found, how = _some_keys(look, model, projection.form)
    else:
        return Verdict(told={"compared": f"nothing: {checkpoint:,} events are more than are looked at; checks_in_full does"})
    told = {"compared": how, "rows_compared": found.same + len(found.changed) + len(found.removed)}
    if found.is_empty:
        return Verdict(told=told)
    failing = len(found.added) + len(found.removed) + len(found.changed)
    problem = f"rows differ from those folded anew ({found!r}; − is missing here, + should not be here, ~ is anew → here): rebuild it"
    return Verdict(problem=problem, rows=found.table(SHOWN_ROWS).to_pylist(), failing=failing, told=told)


def _all(look: Look, model: ReadModel) -> tuple[RowDiff, str]:
    there = MemoryModel.of(model)
    return diff(as_of(look.store, model.projection, there.checkpoint()), there), f"all rows, of {there.checkpoint():,} events"


def _some_streams(look: Look, model: ReadModel, most: int) -> tuple[RowDiff, str]:
    """Exact, as all that touches these rows is in the share. Other streams as the log grows."""
    projection, turn = model.projection, model.look()
    digits = next(digits for digits in range(5) if turn.checkpoint <= most * 16**digits or digits == 4)
    shard = f"h{turn.checkpoint % 16**digits:0{digits}x}"
    share = fold_shards(look.store, MemoryModel(projection), [shard], 0, turn.checkpoint)
    keys = pa.concat_tables([share.touched, share.rows.select(projection.key)]).group_by(list(projection.key)).aggregate([])
    return diff_tables(share.rows, turn.rows(keys), projection.key), f"the rows of {share.events:,} events, of the streams in {shard}"


def _some_keys(look: Look, model: ReadModel, form: Sql) -> tuple[RowDiff, str]:
    """A select that gives a few keys alone reads the whole log, but keeps next to nothing of it."""
    projection, turn = model.projection, model.look()
    keys = _sample(model, turn.checkpoint)
    narrow = replace(projection, form=replace(form, select=_narrowed(projection, form, keys)))
    return diff_tables(as_of(look.store, narrow, turn.checkpoint).rows(), turn.rows(keys), projection.key), f"the rows of {len(keys):,} keys"


def _sample(model: ReadModel, seed: int) -> pa.Table:
    keys = model.rows(*model.projection.key, limit=1_000_000)
    step = max(1, len(keys) // _SAMPLE_ROWS)
    return keys.take(pa.array(range(seed % step, len(keys), step), pa.int64()))


def _narrowed(projection: Projection, form: Sql, keys: pa.Table) -> str:
    """As text, as which values of every type can be written into a select."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        relation = connection.from_arrow(keys)
        of = [f'cast(cast("{name}" as {kind}) as varchar)' for name, kind in zip(keys.column_names, relation.types, strict=True)]
        wanted = relation.project(", ".join(of)).fetchall()
    listed = ", ".join(f"({', '.join(_quoted(value) for value in row)})" for row in wanted) or f"({', '.join('null' for _ in of)})"
    return f"select * from ({form.select}\n) where ({', '.join(of)}) in ({listed})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
