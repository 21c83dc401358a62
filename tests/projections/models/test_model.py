"""What every read model keeps, in memory or in Delta."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from projections import CheckpointMovedError, MemoryModel, Model, Projection, ReadModel, catch_up
from store import MemoryEventStore


@pytest.fixture(params=["memory", "delta"])
def model(request: pytest.FixtureRequest, tmp_path: Path, accounts: Projection) -> Model:
    return MemoryModel(accounts) if request.param == "memory" else ReadModel.under(str(tmp_path), accounts)


def keys(accounts: Projection, *names: str) -> pa.Table:
    schema = pa.schema([accounts.columns.field(name) for name in accounts.key])
    return pa.Table.from_pylist([{"account": name, "day": date(2013, 1, 1)} for name in names], schema=schema)


def dated(accounts: Projection, **changes: int) -> pa.Table:
    rows = [{"account": name, "day": date(2013, 1, 1), "changes": number} for name, number in changes.items()]
    return pa.Table.from_pylist(rows, schema=accounts.columns)


def test_chosen_columns_and_a_limit_are_kept(model: Model, store: MemoryEventStore) -> None:
    catch_up(store, model)
    assert model.rows("balance", "account").column_names == ["balance", "account"]
    assert len(model.rows(limit=1)) == 1
    assert model.row_count() == len(model.rows())


def test_of_two_turns_from_one_state_one_wins(model: Model, accounts: Projection) -> None:
    ours, theirs = model.turn(), model.turn()
    theirs.commit(dated(accounts, a=1), 5)
    with pytest.raises(CheckpointMovedError):
        ours.commit(dated(accounts, a=1), 5)
    assert (model.checkpoint(), model.rows("changes").to_pylist()) == (5, [{"changes": 1}])


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_alone_is_as_exclusive_as_rows(model: Model, accounts: Projection, first: bool) -> None:
    ours, theirs = model.turn(), model.turn()
    nothing = accounts.columns.empty_table()
    theirs.commit(nothing if first else dated(accounts, a=1), 5)
    with pytest.raises(CheckpointMovedError):
        ours.commit(dated(accounts, a=1) if first else nothing, 5)
    assert model.checkpoint() == 5


def test_rows_are_put_and_deleted_in_one_commit(model: Model, accounts: Projection) -> None:
    turn = model.turn()
    turn.commit(dated(accounts, a=1, b=1, c=1), 5)
    turn.commit(dated(accounts, a=2, d=1), 6, deleted=keys(accounts, "b"))
    assert model.rows("account", "changes").sort_by("account").to_pylist() == [
        {"account": name, "changes": changes} for name, changes in (("a", 2), ("c", 1), ("d", 1))
    ]
    assert model.checkpoint() == turn.checkpoint == 6


def test_deleting_what_is_not_there_moves_the_checkpoint(model: Model, accounts: Projection) -> None:
    turn = model.turn()
    turn.commit(dated(accounts, a=1), 5)
    nothing = accounts.columns.empty_table()
    turn.commit(nothing, 6, deleted=keys(accounts, "b"))
    assert (turn.checkpoint, model.checkpoint(), model.row_count()) == (6, 6, 1)
    turn.commit(nothing, 7, deleted=keys(accounts, "a"))
    assert (model.checkpoint(), model.row_count(), len(model.rows())) == (7, 0, 0)


def test_a_delete_is_as_exclusive_as_rows(model: Model, accounts: Projection) -> None:
    model.turn().commit(dated(accounts, a=1), 5)
    ours, theirs = model.turn(), model.turn()
    nothing = accounts.columns.empty_table()
    theirs.commit(nothing, 6, deleted=keys(accounts, "a"))
    for name in ("a", "b"):
        with pytest.raises(CheckpointMovedError):
            ours.commit(nothing, 6, deleted=keys(accounts, name))
    assert model.checkpoint() == 6


def test_the_checkpoint_never_goes_back(model: Model, accounts: Projection) -> None:
    turn = model.turn()
    turn.commit(dated(accounts, a=1), 5)
    with pytest.raises(ValueError, match="never moves back: 5 to 4"):
        turn.commit(dated(accounts, a=1), 4)


@pytest.mark.parametrize("checkpoint", [0, 5])
def test_rows_that_no_event_made_leave_the_checkpoint_where_it_is(model: Model, accounts: Projection, checkpoint: int) -> None:
    if checkpoint:
        model.turn().commit(accounts.columns.empty_table(), checkpoint)
    ours, theirs = model.turn(), model.turn()
    theirs.commit(dated(accounts, a=1), checkpoint)
    with pytest.raises(CheckpointMovedError):
        ours.commit(dated(accounts, b=1), checkpoint)
    assert (model.checkpoint(), model.rows("account").to_pylist()) == (checkpoint, [{"account": "a"}])


def test_a_turn_reads_the_rows_of_the_keys_it_is_asked_for(model: Model, accounts: Projection) -> None:
    turn = model.turn()
    assert len(turn.rows(keys(accounts, "a"))) == 0
    turn.commit(dated(accounts, a=1, b=2, c=3), 5)
    assert turn.rows(keys(accounts, "a", "c", "d")).sort_by("account")["changes"].to_pylist() == [1, 3]
    assert turn.rows(keys(accounts)).schema == accounts.columns


def test_readers_see_a_committed_state_while_a_runner_goes_on(model: Model, accounts: Projection) -> None:
    model.turn().commit(dated(accounts, a=1), 5)
    before = model.rows()
    model.turn().commit(dated(accounts, a=2, b=1), 6)
    assert before["changes"].to_pylist() == [1]
    assert sorted(model.rows()["changes"].to_pylist()) == [1, 2]
