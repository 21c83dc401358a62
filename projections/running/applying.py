"""Applying a batch of events to a model's turn: which rows it touches, and what it makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from projections.errors import ApplyError, ProjectionError
from projections.forms.form import Changes, Fold, Touched, key_schema
from projections.models.model import Turn
from projections.projection import Projection
from projections.running.batches import newest
from store import UnreadableEventError


def touch(projection: Projection, fold: Fold, events: pa.Table) -> Touched:
    """Which rows these events, as they are stored, may change. ApplyError: it could not be told."""
    with _blaming(projection, events):
        seen = newest(projection, events)
        if not len(seen):
            return Touched(key_schema(projection).empty_table(), lambda _: _nothing(projection))
        touched = fold.touched(seen)
        for name in projection.key:
            if touched.keys[name].null_count:
                raise ValueError(f"a row has no {name}: leave it out (in a select by where … is not null, in a frame by drop_nulls)")
        return touched


def apply(projection: Projection, fold: Fold, turn: Turn, events: pa.Table) -> Changes:
    """What these events, as they are stored, change. ApplyError: they could not be turned into rows."""
    touched = touch(projection, fold, events)
    current = turn.rows(touched.keys)
    with _blaming(projection, events):
        return touched.change(current)


def _nothing(projection: Projection) -> Changes:
    return Changes(projection.columns.empty_table(), key_schema(projection).empty_table())


@contextmanager
def _blaming(projection: Projection, events: pa.Table) -> Iterator[None]:
    """Whatever goes wrong inside is an ApplyError on these events, or on the one of them that is to blame."""
    try:
        yield
    except ProjectionError:
        raise
    except UnreadableEventError as error:
        position = int(error.position or 0)
        raise ApplyError(projection.name, position, position, str(error), stream_id=error.stream_id, type=error.type) from error
    except Exception as error:  # a form runs the projection's own code, which may raise anything
        problem = str(error) if isinstance(error, duckdb.Error | ValueError) else f"{type(error).__name__}: {error}"
        raise ApplyError(projection.name, events["position"][0].as_py(), events["position"][-1].as_py(), problem) from error
