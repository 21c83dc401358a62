"""`as_of`: a read model as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from projections import BeyondHeadError, MemoryModel, Projection, ReadModel, as_of, catch_up, diff
from store import Event, MemoryEventStore


def test_the_rows_are_those_that_were_there_at_the_position(accounts: Projection, store: MemoryEventStore, tmp_path: Path) -> None:
    model = ReadModel.under(str(tmp_path), accounts)
    for position in range(store.head() + 1):
        catch_up(store, model, until=position)
        then = as_of(store, accounts, position)
        assert (then.checkpoint(), diff(model, then).is_empty, then.row_count()) == (position, True, model.row_count())


def test_a_time_names_the_last_position_recorded_by_then(accounts: Projection, store: MemoryEventStore) -> None:
    recorded = store.read_all().read_all()["recorded_at"].to_pylist()
    assert as_of(store, accounts, recorded[-1]).checkpoint() == 9
    assert as_of(store, accounts, recorded[0] - timedelta(seconds=1)).checkpoint() == 0


def test_a_start_is_gone_on_from_and_not_touched(accounts: Projection, store: MemoryEventStore) -> None:
    start = as_of(store, accounts, 5)
    beyond = MemoryEventStore()                    # a log with nothing where the start has its events
    beyond.append("other", [Event("Renamed", {})] * 1 + [Event("Renamed", {}) for _ in range(4)])
    beyond.append("account-0", [Event("Deposited", {"amount": 1})])
    then = as_of(beyond, accounts, 6, start)
    assert sum(then.rows("changes")["changes"].to_pylist()) == 6
    assert (start.checkpoint(), sum(start.rows("changes")["changes"].to_pylist())) == (5, 5)
    with pytest.raises(ValueError, match="position 4 lies before 5"):
        as_of(store, accounts, 4, start)


def test_a_position_that_is_not_there_yet_is_refused(accounts: Projection, store: MemoryEventStore) -> None:
    with pytest.raises(BeyondHeadError, match="position 10 lies beyond the head 9 of the log: wait for it") as beyond:
        as_of(store, accounts, 10)
    assert (beyond.value.position, beyond.value.head) == (10, 9)
    with pytest.raises(ValueError, match="position -1"):
        as_of(store, accounts, -1)


def test_a_copy_in_memory_goes_its_own_way(accounts: Projection, store: MemoryEventStore) -> None:
    model = MemoryModel(accounts)
    catch_up(store, model, until=5)
    copy = MemoryModel.of(model)
    catch_up(store, model)
    assert (copy.checkpoint(), model.checkpoint()) == (5, 9)
    catch_up(store, copy)
    assert diff(copy, model).is_empty
