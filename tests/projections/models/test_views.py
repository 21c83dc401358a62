from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from projections import Projection, ReadModel, ServingModel, as_views, catch_up, streams
from store import MemoryEventStore


@pytest.fixture(params=["directory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "it's [a] place") if request.param == "directory" else str(request.getfixturevalue("s3_warehouse"))


def test_read_models_are_tables_of_a_duckdb_session(place: str, accounts: Projection, store: MemoryEventStore) -> None:
    models = [ReadModel.under(place, accounts), ServingModel(place, streams)]
    for model in models:
        catch_up(store, model)
    with duckdb.connect() as session:
        session.execute("set TimeZone = 'UTC'")
        as_views(session, models)
        assert session.sql("select sum(changes), max(version) from accounts join streams on account = stream_id").fetchall() == [(8, 5)]
        assert session.sql("from accounts order by account, day").to_arrow_table().cast(accounts.columns).to_pylist() == models[0].rows().to_pylist()


def test_one_never_written_is_an_empty_table_with_its_columns(tmp_path: Path, accounts: Projection) -> None:
    with duckdb.connect() as session:
        as_views(session, [ReadModel.under(str(tmp_path), accounts)])
        there = session.sql("from accounts")
        assert (there.columns, there.fetchall(), str(there.types[1])) == (accounts.columns.names, [], "DATE")
