from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from projections import (
    ApplyError,
    BuildError,
    Builds,
    CheckpointMovedError,
    DeadLetters,
    Leases,
    NeedsRebuildError,
    Park,
    PausedError,
    Projection,
    ReadModel,
    ReadModelRefusedError,
    ServingModel,
    Sql,
    UnderWayError,
    catch_up,
    fingerprint,
    rebuild,
    status,
)
from store import Event, MemoryEventStore

COLUMNS = pa.schema({"account": pa.string(), "total": pa.int64()})


def summing(version: int = 1, factor: int = 1, extra: str = "") -> Projection:
    select = f"select stream_id as account, {factor} * (data ->> 'amount')::bigint as total from events {extra}"
    return Projection(name="sums", version=version, key=("account",), columns=COLUMNS, types=("Deposited",), form=Sql(select, {"total": "sum"}))


def told(model: Any) -> dict[str, int]:
    return {row["account"]: row["total"] for row in model.rows().to_pylist()}


@pytest.fixture
def store() -> MemoryEventStore:
    store = MemoryEventStore()
    for amount in range(1, 7):
        store.append(f"account-{amount % 2}", [Event("Deposited", {"amount": amount})])
    return store


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path)


def test_changed_code_is_never_mixed_with_the_rows_of_the_old(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ReadModel.under(place, summing()))
    store.append("account-0", [Event("Deposited", {"amount": 1})])
    changed = ServingModel(place, summing(factor=10))
    with pytest.raises(NeedsRebuildError, match="other code"):
        catch_up(store, changed)
    assert told(changed) == {"account-0": 12, "account-1": 9}
    assert catch_up(store, ReadModel.under(place, summing(extra="-- the same"))).events == 1


def test_a_raised_version_needs_rebuild_and_the_old_one_goes_on_serving(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, summing()))
    with pytest.raises(NeedsRebuildError, match="version 2 is declared, and version 1 serves"):
        catch_up(store, ServingModel(place, summing(version=2)))
    assert told(ServingModel(place, summing())) == {"account-0": 12, "account-1": 9}


@pytest.mark.parametrize("after", [summing(version=2, factor=10), summing(factor=10)])
def test_a_rebuild_switches_at_once_and_keeps_what_served(store: MemoryEventStore, place: str, after: Projection) -> None:
    reader = ServingModel(place, summing())
    catch_up(store, reader)
    done = rebuild(store, place, after)
    assert (done.before and done.before.build, done.filled.events, done.filled.checkpoint) == ("v1", 6, 6)
    assert done.build.build == ("v2" if after.version == 2 else "v1-2")
    new = ServingModel(place, after)
    assert told(new) == told(ReadModel.under(place, after)) == {"account-0": 120, "account-1": 90}
    store.append("account-0", [Event("Deposited", {"amount": 1})])
    assert catch_up(store, new).events == 1
    assert told(ReadModel(Builds(place).uri("sums", "v1"), summing())) == {"account-0": 12, "account-1": 9}
    if after.version == 1:
        assert told(reader)["account-0"] == 130    # an open handle goes with the switch


def test_one_can_go_back_to_what_served_before_and_forth_again(store: MemoryEventStore, place: str) -> None:
    old, new, builds = summing(), summing(version=2, factor=10), Builds(place)
    catch_up(store, ServingModel(place, old))
    rebuild(store, place, new)
    assert builds.roll_back(new).build == "v1"
    assert told(ServingModel(place, old)) == {"account-0": 12, "account-1": 9}
    assert builds.roll_back(old).build == "v2"
    assert told(ServingModel(place, new)) == {"account-0": 120, "account-1": 90}


def test_without_an_earlier_build_one_cannot_go_back(store: MemoryEventStore, place: str) -> None:
    rebuild(store, place, summing())
    with pytest.raises(BuildError, match="no earlier build is kept"):
        Builds(place).roll_back(summing())


def test_a_dropped_build_is_gone_and_the_serving_one_cannot_be(store: MemoryEventStore, place: str) -> None:
    old, new, builds = summing(), summing(version=2), Builds(place)
    catch_up(store, ServingModel(place, old))
    rebuild(store, place, new)
    with pytest.raises(BuildError, match="'v2', which is serving"):
        builds.drop(new, "v2")
    with pytest.raises(BuildError, match=r"has no build 'v7': take one of: v1 .kept., v2 .serving."):
        builds.drop(new, "v7")
    builds.drop(new, "v1")
    assert [one.build for one in builds.of(new)] == ["v2"]
    assert not [*Path(place, "projections", "sums", "v1").rglob("*.parquet")]
    with pytest.raises(BuildError):
        builds.roll_back(new)


def test_a_build_of_other_columns_can_be_dropped(store: MemoryEventStore, place: str) -> None:
    columns = pa.schema({"account": pa.string(), "largest": pa.int64()})
    form = Sql("select stream_id as account, (data ->> 'amount')::bigint as largest from events", {"largest": "max"})
    other = replace(summing(), version=2, columns=columns, form=form)
    catch_up(store, ServingModel(place, summing()))
    rebuild(store, place, other)
    Builds(place).drop(other, "v1")
    assert ServingModel(place, other).rows("largest")["largest"].to_pylist() == [6, 5]


class CutError(Exception):
    pass


def test_a_rebuild_cut_off_goes_on_where_it_was(store: MemoryEventStore, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new = summing(version=2, factor=10)
    catch_up(store, ServingModel(place, summing()))
    monkeypatch.setattr(Builds, "switch", lambda *_: (_ for _ in ()).throw(CutError()))
    with pytest.raises(CutError):
        rebuild(store, place, new)
    assert status(store, place, new).making.build == "v2"  # type: ignore[union-attr]
    assert told(ServingModel(place, summing())) == {"account-0": 12, "account-1": 9}
    monkeypatch.undo()
    store.append("account-0", [Event("Deposited", {"amount": 1})])
    done = rebuild(store, place, new)
    assert (done.filled.events, done.build.build) == (1, "v2")
    assert told(ServingModel(place, new)) == {"account-0": 130, "account-1": 90}


def test_a_rebuild_that_was_begun_by_other_code_is_not_gone_on_with(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, summing()))
    first = Builds(place).begin(summing(version=2, factor=3))
    done = rebuild(store, place, summing(version=2, factor=10))
    assert (first.build, done.build.build, done.build.made_by) == ("v2", "v2-2", fingerprint(summing(version=2, factor=10)))


def test_a_rebuild_that_fails_leaves_what_serves(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, summing()))
    broken = summing(version=2, extra="where error('no')")
    with pytest.raises(ApplyError, match="no"):
        rebuild(store, place, broken)
    assert told(ServingModel(place, summing())) == {"account-0": 12, "account-1": 9}


def test_a_rebuild_parks_what_cannot_be_applied_and_the_letters_are_of_the_new_build(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, summing()))
    store.append("account-0", [Event("Deposited", {"amount": "much"})])
    store.append("account-1", [Event("Deposited", {"amount": 1})])
    letters = DeadLetters(place)
    done = rebuild(store, place, summing(version=2), failing=Park(letters))
    assert told(ServingModel(place, summing(version=2))) == {"account-0": 12, "account-1": 10}
    assert (letters.count("sums", done.build.build), letters.count("sums", "v1")) == (1, 0)


def test_rebuilds_of_several_projections_at_once_lose_no_build(store: MemoryEventStore, place: str) -> None:
    several = [replace(summing(), name=f"sums_{number}") for number in range(4)]
    threads = [threading.Thread(target=rebuild, args=(store, place, one)) for one in several]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status(store, place, one).serving.build for one in several] == ["v1"] * 4  # type: ignore[union-attr]


def test_a_paused_model_is_left_alone_until_it_is_resumed(store: MemoryEventStore, place: str) -> None:
    model = ReadModel.under(place, summing())
    model.pause("the auditors look at it")
    with pytest.raises(PausedError, match="the auditors look at it"):
        catch_up(store, ReadModel.under(place, summing()))
    assert (status(store, place, summing()).state, status(store, place, summing()).why) == ("paused", "the auditors look at it")
    ReadModel.under(place, summing()).resume()
    model.resume()
    assert catch_up(store, model).events == 6


def test_a_pause_stops_a_runner_at_work_before_its_next_commit(store: MemoryEventStore, place: str) -> None:
    model = ReadModel.under(place, summing())
    turn = model.turn()
    ReadModel.under(place, summing()).pause("now")
    with pytest.raises(CheckpointMovedError):
        turn.commit(COLUMNS.empty_table(), 3)
    assert model.checkpoint() == 0


def test_a_reset_begins_anew_whatever_code_made_the_rows(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ReadModel.under(place, summing()))
    model = ReadModel.under(place, summing(factor=10))
    model.reset()
    assert (model.checkpoint(), model.row_count()) == (0, 0)
    assert (catch_up(store, model).events, told(model)) == (6, {"account-0": 120, "account-1": 90})


def test_a_halted_model_tells_why_until_it_gets_on(store: MemoryEventStore, place: str) -> None:
    model = ReadModel.under(place, summing())
    store.append("account-0", [Event("Deposited", {"amount": "much"})])
    with pytest.raises(ApplyError):
        catch_up(store, model, batch_events=2)
    assert (model.checkpoint(), model.hold().kind) == (6, "halted")  # type: ignore[union-attr]
    assert "'much'" in status(store, place, summing()).why
    catch_up(store, ReadModel(model.uri, summing()), until=6)
    with pytest.raises(ApplyError):
        catch_up(store, model)


def test_the_status_tells_how_far_behind_it_is(store: MemoryEventStore, place: str) -> None:
    assert (status(store, place, summing()).state, status(store, place, summing()).lag) == ("new", 6)
    catch_up(store, ServingModel(place, summing()), until=4)
    behind = status(store, place, summing())
    assert (behind.state, behind.checkpoint, behind.lag, behind.rows, behind.lag_s > 0) == ("behind", 4, 2, 2, True)
    catch_up(store, ServingModel(place, summing()))
    done = status(store, place, summing())
    assert (done.state, done.lag, done.lag_s) == ("up to date", 0, 0)
    assert status(store, place, summing(factor=2)).state == status(store, place, summing(version=2)).state == "needs rebuild"


def test_changed_columns_without_a_raised_version_are_rebuilt_all_the_same(store: MemoryEventStore, place: str) -> None:
    catch_up(store, ServingModel(place, summing()))
    columns = pa.schema({"account": pa.string(), "total": pa.int64(), "deposits": pa.int64()})
    form = Sql("select stream_id as account, (data ->> 'amount')::bigint as total, 1 as deposits from events", {"total": "sum", "deposits": "count"})
    wider = replace(summing(), columns=columns, form=form)
    with pytest.raises(ReadModelRefusedError, match="run `rebuild`"):
        catch_up(store, ServingModel(place, wider))
    assert status(store, place, wider).state == "needs rebuild"
    rebuild(store, place, wider)
    assert ServingModel(place, wider).rows("deposits")["deposits"].to_pylist() == [3, 3]


def test_a_rebuild_of_what_is_being_rebuilt_fails_at_once_and_begins_nothing(store: MemoryEventStore, place: str) -> None:
    with Leases(place).held("sums"), pytest.raises(UnderWayError):
        rebuild(store, place, summing())
    assert Builds(place).of(summing()) == []
    assert rebuild(store, place, summing()).filled.events == 6
