"""A published database for who cannot read the warehouse: what was granted, and no way to the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from projections import PublishError, ServingModel, catch_up, publish_sql
from store import EVERY, Grant, open_store
from store.delta.delta_store import DeltaEventStore
from tests.projections.test_published_sql import add, summing

GRANT = Grant(streams=["s-1"], data={"Counted": ["n"]}, tables={"totals": ["total"], "nothing": EVERY})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(tmp_path / "warehouse", create=True) as store:
        add(store, 6)
        catch_up(store, ServingModel(str(tmp_path / "warehouse"), summing()))
        yield store


def test_it_holds_what_is_granted_as_of_when_it_was_written(store: DeltaEventStore, tmp_path: Path) -> None:
    done = publish_sql(str(tmp_path / "warehouse"), [summing()], tmp_path / "sales.duckdb", grant=GRANT)
    assert done.names == ["events", "totals", "checkpoints"]
    assert done.left_out == {"nothing": "there is no such table"}
    add(store, 4)
    with duckdb.connect(done.path, read_only=True) as theirs:
        assert theirs.sql("select stream_id, version from events order by all").fetchall() == [("s-1", 1), ("s-1", 2), ("s-1", 3)]
        assert theirs.sql("select count(*) from stream('s-1')").fetchall() == [(3,)]
        assert theirs.sql("from totals").fetchall() == [(9,)]
        assert theirs.sql("select position from checkpoints").fetchall() == [(6,)]
        with pytest.raises(duckdb.CatalogException):
            theirs.sql("from conversation('talk')")


def test_nothing_in_it_leads_to_the_warehouse(store: DeltaEventStore, tmp_path: Path) -> None:
    done = publish_sql(str(tmp_path / "warehouse"), [summing()], tmp_path / "sales.duckdb", grant=GRANT)
    body = done.path.read_bytes()
    for hidden in (b"s-0", str(tmp_path).encode(), b"_delta_log", b"talk"):
        assert hidden not in body


def test_it_needs_a_path_of_its_own(store: DeltaEventStore, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="give the path"):
        publish_sql(str(tmp_path / "warehouse"), [summing()], grant=GRANT)
