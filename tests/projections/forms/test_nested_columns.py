"""Lists and structs as columns: every form makes them, and every reader gets what was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from projections import Frame, Handlers, MemoryModel, Place, Projection, ReadModel, Sql, catch_up, fill
from store import Event, EventType, EventTypes, MemoryEventStore


class Moved(msgspec.Struct, frozen=True):
    stops: list[str | None] | None
    load: dict[str, Any] | None


SAID: dict[str, list[dict[str, Any]]] = {
    "a": [{"stops": ["x", None], "load": {"kg": 1, "of": ["p"]}}, {"stops": [], "load": {"kg": None, "of": []}}],
    "b": [{"stops": None, "load": None}],
}
LOAD = pa.struct({"kg": pa.int64(), "of": pa.list_(pa.string())})
COLUMNS = pa.schema({"k": pa.string(), "n": pa.int64(), "stops": pa.list_(pa.string()), "load": LOAD})
ROWS = [{"k": "a", "n": 2, **SAID["a"][1]}, {"k": "b", "n": 1, **SAID["b"][0]}]


def handle(row: Any, event: Moved, place: Place) -> dict[str, Any]:
    return {"k": place.stream_id, "n": row["n"] + 1 if row else 1, "stops": event.stops, "load": event.load}


def read(events: pl.DataFrame) -> pl.DataFrame:
    said = pl.Struct({"stops": pl.List(pl.String), "load": pl.Struct({"kg": pl.Int64, "of": pl.List(pl.String)})})
    return events.select(k="stream_id", n=pl.lit(1, pl.Int64), said=pl.col("data").str.json_decode(said)).unnest("said")


def change(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([current, read(events)]).group_by("k", maintain_order=True).agg(pl.sum("n"), pl.last("stops", "load"))


FORMS = [
    Sql(
        """select stream_id as k, 1 as n, position, (data -> 'stops')::varchar[] as stops,
                  from_json(data -> 'load', '{"kg": "BIGINT", "of": ["VARCHAR"]}') as load from events""",
        {"n": "count", "stops": "last", "load": "last"},
    ),
    Frame(touches=lambda events: events.select(k="stream_id"), change=change),
    Handlers(on={Moved: handle}, key=lambda event, place: place.stream_id),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.engine)
@pytest.mark.parametrize("batch_events", [1, 100])
def test_every_form_makes_them_and_every_reader_gets_them(tmp_path: Path, form: Any, batch_events: int) -> None:
    types = EventTypes(EventType("Moved", Moved))
    moved = Projection(name="moved", version=1, key=("k",), columns=COLUMNS, form=form, event_types=types)
    store = MemoryEventStore()
    for stream, said in SAID.items():
        store.append(stream, [Event("Moved", data) for data in said])
    model, memory, filled = ReadModel.under(str(tmp_path), moved), MemoryModel(moved), MemoryModel(moved)
    for each in (model, memory):
        catch_up(store, each, batch_events)
    fill(store, filled, batch_events)
    for each in (model, memory, filled):
        assert each.rows().sort_by("k").to_pylist() == ROWS
    assert DeltaTable(model.uri).to_pyarrow_table().sort_by("k").to_pylist() == ROWS
    assert pl.read_delta(model.uri).sort("k").to_dicts() == ROWS
    assert duckdb.sql("from read_parquet(?) order by k", params=[model.files()]).to_arrow_table().to_pylist() == ROWS
