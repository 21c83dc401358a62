"""One read model in each of the three forms: the same rows, for every batch size and restart."""

from __future__ import annotations

import tempfile
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import Frame, Handlers, Place, Projection, ReadModel, Sql, catch_up
from store import Event, EventType, EventTypes, MemoryEventStore, Rename, Upcast


class Paid(msgspec.Struct, frozen=True):
    cents: int


class Left(msgspec.Struct, frozen=True):
    pass


TYPES = EventTypes(
    EventType("Paid", Paid, schema_version=2),
    EventType("Left", Left),
    steps=[Upcast("Paid", 1, lambda data: {"cents": data["euros"] * 100}), Rename("Bought", 1, to="Paid", to_version=1)],
)
COLUMNS = pa.schema({"member": pa.string(), "tag": pa.string(), "payments": pa.int64(), "cents": pa.int64(), "latest": pa.int64()})
KEY = ("member", "tag")

# Appended one by one: (stream, type, amount, tag).
CHANGES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["Paid", "Bought", "Left", "Noise"]), st.integers(-5, 1000), st.sampled_from("xy")),
    max_size=24,
)


def record(store: MemoryEventStore, changes: list[tuple[str, str, int, str]]) -> None:
    for stream, type, amount, tag in changes:
        data = {"Paid": {"cents": amount}, "Bought": {"euros": amount}}.get(type, {})
        store.append(stream, [Event(type, data, tags=[tag], schema_version=2 if type == "Paid" else 1)])


def paid(row: dict[str, Any] | None, event: Paid, place: Place) -> dict[str, Any]:
    row = row or {"member": place.stream_id, "tag": place.tags[0], "payments": 0, "cents": 0, "latest": 0}
    return {**row, "payments": row["payments"] + 1, "cents": row["cents"] + event.cents, "latest": place.position}


def left(row: dict[str, Any] | None, event: Left, place: Place) -> None:
    return None


def key(event: object, place: Place) -> tuple[str, str]:
    return place.stream_id, place.tags[0]


def touches(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(member="stream_id", tag=pl.col("tags").list.first())


def change(current: pl.DataFrame, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    fresh = events.select(
        member="stream_id",
        tag=pl.col("tags").list.first(),
        payments=(pl.col("type") == "Paid").cast(pl.Int64),
        cents=pl.col("data").str.json_path_match("$.cents").cast(pl.Int64),
        latest="position",
        type="type",
    )
    everything = pl.concat([current.with_columns(pl.lit("Paid").alias("type"), pl.lit(0, pl.Int64).alias("at")), fresh.with_columns(at="latest")])
    last_left = pl.col("at").filter(pl.col("type") == "Left").max().over(KEY).fill_null(-1)
    kept = everything.filter(pl.col("at") > last_left).group_by(KEY).agg(pl.sum("payments", "cents"), pl.max("latest"))
    return kept, everything.select(KEY).unique().join(kept, on=KEY, how="anti")


def change_only_sums(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return change(current, events)[0]


SELECT = """
    select stream_id as member, tags[1] as tag, 1 as payments, (data ->> 'cents')::bigint as cents, position as latest, position from events
"""
SQL = Sql(SELECT, {"payments": "count", "cents": "sum", "latest": "last"})


def projection(name: str, form: Any, types: tuple[str, ...] | None) -> Projection:
    return Projection(name=name, version=1, key=KEY, columns=COLUMNS, form=form, types=types, event_types=TYPES)


SUMS = (
    projection("by_sql", SQL, ("Paid",)),
    projection("by_frame", Frame(touches, change_only_sums), ("Paid",)),
    projection("by_handlers", Handlers(on={Paid: paid}, key=key), None),
)
MEMBERS = (
    projection("members_by_frame", Frame(touches, change), ("Paid", "Left")),
    projection("members_by_handlers", Handlers(on={"Paid": paid, Left: left}, key=key), None),
)


def folded(store: MemoryEventStore, *, leaving: bool) -> list[dict[str, Any]]:
    rows: dict[Any, dict[str, Any]] = {}
    events = store.read_all(types=["Paid", "Bought", "Left"] if leaving else ["Paid", "Bought"]).read_all()
    for event in TYPES.upcast(events).to_pylist():
        at = (event["stream_id"], event["tags"][0])
        if event["type"] == "Left":
            rows.pop(at, None)
        else:
            row = rows.setdefault(at, {"member": at[0], "tag": at[1], "payments": 0, "cents": 0})
            row.update(payments=row["payments"] + 1, cents=row["cents"] + msgspec.json.decode(event["data"])["cents"], latest=event["position"])
    return [rows[at] for at in sorted(rows)]


@pytest.mark.parametrize(("forms", "leaving"), [(SUMS, False), (MEMBERS, True)], ids=["sums", "with deletes"])
@settings(max_examples=20, deadline=None)
@given(first=CHANGES, then=CHANGES, sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3))
def test_every_form_gives_the_rows_of_a_fold_for_every_batch_size_and_restart(
    forms: tuple[Projection, ...], leaving: bool, first: Any, then: Any, sizes: list[int]
) -> None:
    store = MemoryEventStore()
    with tempfile.TemporaryDirectory() as directory:
        models = [ReadModel.under(directory, form) for form in forms]
        record(store, first)
        for model in models:
            catch_up(store, model, batch_events=sizes[0])
        record(store, then)
        for model in models:
            for size in sizes:
                catch_up(store, model, batch_events=size)
            assert model.rows().sort_by([(name, "ascending") for name in KEY]).to_pylist() == folded(store, leaving=leaving)
            assert model.checkpoint() == store.head()
