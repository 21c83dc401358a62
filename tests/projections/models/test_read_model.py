from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from projections import CheckpointMovedError, Projection, ReadModel, ReadModelRefusedError, Sql, catch_up
from store import Event, MemoryEventStore


def again(model: ReadModel) -> ReadModel:
    """As another process sees it, which has not read any of it yet."""
    return ReadModel(model.uri, model.projection)


def record(store: MemoryEventStore) -> None:
    store.append("account-0", [Event("Deposited", {"amount": 1})])


def commits(model: ReadModel) -> list[Path]:
    return sorted(Path(model.uri, "_delta_log").glob("*.json"))


def row(accounts: Projection, account: str, changes: int) -> pa.Table:
    return pa.Table.from_pylist([{"account": account, "day": date(2013, 1, 1), "changes": changes}], schema=accounts.columns)


def test_a_model_never_written_is_empty_and_makes_nothing(model: ReadModel) -> None:
    assert (len(model.rows()), model.checkpoint(), model.row_count(), model.delta_version()) == (0, 0, 0, -1)
    assert not Path(model.uri).exists()


def test_rows_and_checkpoint_change_in_one_commit(model: ReadModel, store: MemoryEventStore) -> None:
    catch_up(store, model, batch_events=3)
    for version in range(1, model.delta_version() + 1):
        text = commits(model)[version].read_text()
        assert '"txn"' in text
        assert '"add"' in text


def test_other_readers_see_the_same_rows(model: ReadModel, store: MemoryEventStore) -> None:
    catch_up(store, model, batch_events=3)
    ours = model.rows().sort_by([("account", "ascending"), ("day", "ascending")]).to_pylist()
    assert pl.read_delta(model.uri).sort("account", "day").to_dicts() == ours
    with duckdb.connect() as session:
        files = DeltaTable(model.uri).file_uris()
        assert session.read_parquet(files).order("account, day").to_arrow_table().cast(model.projection.columns).to_pylist() == ours


def test_a_file_written_by_a_commit_that_failed_is_no_row(model: ReadModel, accounts: Projection) -> None:
    """What a crash between writing the data and committing leaves behind."""
    ours, theirs = model.turn(), model.turn()
    theirs.commit(row(accounts, "a", 1), 5)
    with pytest.raises(CheckpointMovedError):
        ours.commit(row(accounts, "a", 1), 5)
    model.turn().commit(row(accounts, "b", 1), 6)
    assert len(list(Path(model.uri).glob("*.parquet"))) >= len(DeltaTable(model.uri).file_uris())
    assert sorted(model.rows("account")["account"].to_pylist()) == ["a", "b"]


def test_the_checkpoint_outlives_many_commits(model: ReadModel, accounts: Projection) -> None:
    """Past the hundredth the log is read from a Delta checkpoint."""
    turn = model.turn()
    for checkpoint in range(1, 103):
        turn.commit(accounts.columns.empty_table(), checkpoint)
    assert Path(model.uri, "_delta_log", "_last_checkpoint").exists()
    assert (model.checkpoint(), model.turn().checkpoint) == (102, 102)


def test_an_empty_last_commit_is_refused(model: ReadModel, store: MemoryEventStore) -> None:
    """deltalake would read it as a commit that did nothing, and lose its rows in silence."""
    catch_up(store, model)
    os.truncate(commits(model)[-1], 0)
    opened = again(model)
    for use in (opened.rows, opened.checkpoint, opened.turn):
        with pytest.raises(ReadModelRefusedError, match="empty"):
            use()


def test_a_torn_last_commit_can_be_removed_and_its_batch_repeated(model: ReadModel, store: MemoryEventStore) -> None:
    catch_up(store, model, batch_events=3)
    before = model.rows().sort_by("account")
    os.truncate(commits(model)[-1], 0)
    commits(model)[-1].unlink()
    assert catch_up(store, again(model)).events > 0
    assert again(model).rows().sort_by("account") == before


def test_half_a_commit_is_an_error_of_ours(model: ReadModel, store: MemoryEventStore) -> None:
    catch_up(store, model)
    os.truncate(commits(model)[-1], 40)
    with pytest.raises(ReadModelRefusedError, match="torn"):
        again(model).rows()


def test_a_torn_data_file_of_the_last_commit_is_refused(model: ReadModel, store: MemoryEventStore) -> None:
    catch_up(store, model)
    os.truncate(DeltaTable(model.uri).file_uris()[0], 10)
    with pytest.raises(ReadModelRefusedError, match="damaged"):
        again(model).rows()
    record(store)
    with pytest.raises(ReadModelRefusedError, match="damaged"):
        catch_up(store, again(model))


def test_a_commit_is_synced_before_anyone_is_told(model: ReadModel, accounts: Projection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its data, their directory, what it says, and the log that names it, in this order."""
    turn = model.turn()
    turn.commit(row(accounts, "a", 1), 5)
    synced = record_syncs(monkeypatch)
    turn.commit(row(accounts, "a", 2), 6)
    root = Path(model.uri)
    data = [Path(uri.removeprefix("file://")) for uri in DeltaTable(model.uri).file_uris()]
    assert synced[:2] == [*data, root]
    assert synced[2].parent == synced[3] == root / "_delta_log"
    assert len(synced) == 4


def record_syncs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    synced: list[Path] = []

    def fsync(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))

    monkeypatch.setattr(os, "fsync", fsync)
    return synced


def test_a_table_of_another_shape_is_refused(model: ReadModel, accounts: Projection, store: MemoryEventStore) -> None:
    catch_up(store, model)
    columns = pa.schema({"account": pa.string(), "day": pa.date32(), "changes": pa.int64()})
    narrower = replace(accounts, columns=columns, form=Sql(accounts.form.select, {"changes": "count"}))
    with pytest.raises(ReadModelRefusedError, match="run `rebuild`, best with a raised version"):
        ReadModel(model.uri, narrower).rows()


def test_each_version_has_its_own_table(tmp_path: Path, accounts: Projection, store: MemoryEventStore) -> None:
    first, second = (ReadModel.under(str(tmp_path), replace(accounts, version=version)) for version in (1, 2))
    catch_up(store, first)
    assert (first.checkpoint(), second.checkpoint()) == (store.head(), 0)
