"""Filling gives the rows of catching up, whatever it holds in memory and wherever it ends."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import Frame, MemoryModel, Projection, ReadModel, catch_up, fill
from store import Event, MemoryEventStore
from tests.projections.tills import SUMS, TILLS

PUTS = st.lists(st.tuples(st.integers(0, 3), st.none() | st.integers(0, 9)), max_size=30)
STEPS = st.lists(st.tuples(st.integers(1, 15), st.sampled_from([0, 200, 1 << 30])), min_size=1, max_size=4)
"""Batches of so many events, committed when rows take so many bytes."""


def touches(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(till="stream_id")


def change(current: pl.DataFrame, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A till whose cents are a multiple of 5 has no row; that is the same as beginning anew, as its puts are their remainder."""
    cents = pl.col("data").str.json_decode(pl.Struct({"cents": pl.Int64})).struct.field("cents").fill_null(0)
    new = events.select(till="stream_id", puts=pl.lit(0, pl.Int64), cents=cents)
    rows = pl.concat([current, new]).group_by("till").agg(pl.col("puts").first(), pl.col("cents").sum() % 5)
    return rows.filter(pl.col("cents") > 0), rows.filter(pl.col("cents") == 0).select("till")


REMAINDERS = replace(TILLS, name="remainders", event_types=None, form=Frame(touches=touches, change=change))


def rows(model: ReadModel | MemoryModel) -> list[dict[str, Any]]:
    return list(model.rows().sort_by("till").to_pylist())


def record(store: MemoryEventStore, puts: list[tuple[int, int | None]]) -> None:
    """None: the till is emptied."""
    for till, cents in puts:
        event = Event("Emptied", {}) if cents is None else Event("Put", {"cents": cents}, schema_version=2)
        store.append(f"till-{till}", [event])


@pytest.mark.parametrize("projection", [SUMS, TILLS, REMAINDERS], ids=lambda projection: projection.name)
@settings(max_examples=25, deadline=None)
@given(parts=st.lists(PUTS, min_size=1, max_size=3), steps=STEPS)
def test_law_8_filling_is_catching_up_for_every_bound_and_restart(projection: Projection, parts: Any, steps: list[tuple[int, int]]) -> None:
    store, plain, memory = MemoryEventStore(), MemoryModel(projection), MemoryModel(projection)
    with tempfile.TemporaryDirectory() as directory:
        delta = ReadModel.under(directory, projection)
        for number, part in enumerate(parts):
            record(store, part)
            for model in (memory, delta):
                fill(store, model, *steps[number % len(steps)])
        catch_up(store, plain, batch_events=1)
        assert rows(memory) == rows(delta) == rows(plain)
        assert memory.checkpoint() == delta.checkpoint() == store.head()


@pytest.mark.parametrize(("held_bytes", "commits"), [(1 << 30, 1), (0, 10)])
def test_rows_are_committed_when_they_take_too_much_and_at_the_end(tmp_path: Any, held_bytes: int, commits: int) -> None:
    store, model = MemoryEventStore(), ReadModel.under(str(tmp_path), SUMS)
    record(store, [(number % 3, 1) for number in range(100)])
    fill(store, model, 10, held_bytes)
    assert model.delta_version() == commits - 1
