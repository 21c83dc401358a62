"""What the warehouse holds, and how Prometheus is told."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from pipelines.levels import Levels, levels
from pipelines.metrics import WarehouseCollector
from projections import DeadLetters, Park, Projection, ServingModel, Sql, catch_up
from store import Event, StorageError, open_store

COUNTED = Projection(
    name="counted",
    version=1,
    key=("type",),
    columns=pa.schema({"type": pa.string(), "total": pa.int64()}),
    form=Sql("select type, (data ->> 'n')::bigint as total from events", {"total": "sum"}),
)
NEW = Projection(name="fresh", version=1, key=COUNTED.key, columns=COUNTED.columns, form=COUNTED.form)


@pytest.fixture
def seen(tmp_path: Path) -> Levels:
    """Three events applied, of which one is parked, and two that wait."""
    with open_store(tmp_path, create=True) as store:
        for number, said in enumerate((1, "many", 3)):
            store.append(f"a-{number}", [Event("Counted", {"n": said})])
        catch_up(store, ServingModel(str(tmp_path), COUNTED), failing=Park(DeadLetters(str(tmp_path)), attempts=1))
        store.append("a-9", [Event("Counted", {"n": 1}), Event("Counted", {"n": 1})])
        return levels(store, str(tmp_path), [COUNTED, NEW])


def test_the_log_and_its_tables_are_measured(seen: Levels, tmp_path: Path) -> None:
    assert seen.head == 5
    assert seen.recorded_at is not None
    sizes = {one.table: (one.files, one.rows) for one in seen.tables}
    assert sizes == {"events": (4, 5), "dead_letters": (1, 1), "counted": (1, 1)}
    bytes_on_disk = sum(file.stat().st_size for file in (tmp_path / "events").rglob("*.parquet") if "_delta_log" not in file.parts)
    assert next(one.data_bytes for one in seen.tables if one.table == "events") == bytes_on_disk


def test_prometheus_is_told_how_each_projection_stands(seen: Levels) -> None:
    registry = CollectorRegistry()
    registry.register(WarehouseCollector(lambda: seen))

    def told(metric: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"alluvium_{metric}", labels)

    assert (told("up"), told("head")) == (1, 5)
    assert [told(name, projection="counted") for name in ("lag_events", "checkpoint", "dead_letters")] == [2, 3, 1]
    assert (told("lag_seconds", projection="counted") or 0) > 0
    assert told("projection_state", projection="counted", state="behind") == 1
    assert told("projection_state", projection="fresh", state="new") == 1
    assert told("table_files", table="events") == 4


def test_an_empty_log_has_no_last_event(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        assert levels(store, str(tmp_path), [NEW]).recorded_at is None


def test_where_the_warehouse_refuses_it_is_told_to_be_down_and_why(caplog: pytest.LogCaptureFixture) -> None:
    def refuse() -> Levels:
        raise StorageError("s3://b", "it does not answer")

    registry = CollectorRegistry()
    registry.register(WarehouseCollector(refuse))
    assert registry.get_sample_value("alluvium_up") == 0
    assert registry.get_sample_value("alluvium_head") is None
    assert "it does not answer" in caplog.text
