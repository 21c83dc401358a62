from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from projections import ApplyError, DeclarationError, Frame, Projection, ReadModel, catch_up
from store import Event, MemoryEventStore

COLUMNS = pa.schema({"k": pa.string(), "n": pa.int64()})


def touches(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(k="stream_id")


def change(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([current, events.select(k="stream_id", n=pl.lit(1, pl.Int64))]).group_by("k").sum()


def counts(touches: Any = touches, change: Any = change) -> Projection:
    return Projection(name="counts", version=1, key=("k",), columns=COLUMNS, form=Frame(touches, change))


@pytest.fixture
def log() -> MemoryEventStore:
    store = MemoryEventStore()
    for n in range(6):
        store.append(f"s{n % 2}", [Event("Counted", {})])
    return store


def when_there_are(events_then: Any) -> Any:
    """`change`, and with events something else, so that it is declared well and fails at work."""

    def changed(current: pl.DataFrame, events: pl.DataFrame) -> Any:
        good = change(current, events)
        return events_then(good) if events.height else good

    return changed


@pytest.mark.parametrize(
    ("form", "field", "told"),
    [
        ({"touches": lambda events: events.select("stream_id")}, "touches", "no column k, only stream_id"),
        ({"touches": lambda events: events.select(k="nothing")}, "touches", "nothing"),
        ({"touches": lambda events: None}, "touches", "polars.DataFrame"),
        ({"change": lambda current, events: current.select("k")}, "change", "no column n, only k"),
        ({"change": lambda current: current}, "change", "positional argument"),
        ({"change": lambda current, events: (current, current.select("n"))}, "change", "no column k"),
    ],
)
def test_functions_that_do_not_give_what_is_declared_are_refused(form: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(DeclarationError, match=told) as refusal:
        counts(**form)
    assert refusal.value.fault.field == field


def test_rows_of_keys_not_touched_are_not_fetched(log: MemoryEventStore, tmp_path: Path) -> None:
    seen: list[list[str]] = []

    def spying(current: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
        seen.append(current["k"].sort().to_list())
        return change(current, events)

    model = ReadModel.under(str(tmp_path), counts(change=spying))
    catch_up(log, model)
    log.append("s1", [Event("Counted", {})])
    assert catch_up(log, model).rows == 1
    assert seen[-2:] == [[], ["s1"]]
    assert model.rows().sort_by("k").to_pylist() == [{"k": "s0", "n": 3}, {"k": "s1", "n": 4}]


def test_deleting_a_row_that_is_not_there_is_nothing(log: MemoryEventStore, tmp_path: Path) -> None:
    none = when_there_are(lambda good: (good.clear(), good.select("k")))
    model = ReadModel.under(str(tmp_path), counts(change=none))
    assert catch_up(log, model).rows == 0
    assert (model.checkpoint(), model.row_count()) == (6, 0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (when_there_are(lambda good: pl.concat([good, good])), "more than one row for a key such as {'k': 's[01]'}"),
        (when_there_are(lambda good: good.with_columns(k=pl.lit("other"))), "touches did not name such as {'k': 'other'}"),
        (when_there_are(lambda good: good.with_columns(k=pl.lit(None, pl.String))), "touches did not name such as {'k': None}"),
        (when_there_are(lambda good: (good, pl.DataFrame({"k": ["other"]}))), "touches did not name such as {'k': 'other'}"),
        (when_there_are(lambda good: (good, good)), "deletes it, such as {'k': 's[01]'}"),
        (when_there_are(lambda good: good.with_columns(n=pl.lit(0.5))), "truncated"),
        (when_there_are(lambda good: good["absent"]), "ColumnNotFoundError"),
    ],
)
def test_what_cannot_be_applied_names_the_events_and_changes_nothing(log: MemoryEventStore, tmp_path: Path, change: Any, told: str) -> None:
    model = ReadModel.under(str(tmp_path), counts(change=change))
    with pytest.raises(ApplyError, match=told) as failure:
        catch_up(log, model)
    assert (failure.value.first, failure.value.last, model.checkpoint(), model.row_count()) == (1, 6, 0, 0)


def test_an_event_that_touches_a_row_without_key_is_refused(log: MemoryEventStore, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), counts(touches=lambda events: events.select(k=pl.lit(None, pl.String))))
    with pytest.raises(ApplyError, match="no k: leave it out"):
        catch_up(log, model)
