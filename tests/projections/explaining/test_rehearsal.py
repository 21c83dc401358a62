"""`what_if` and `rehearse`: what would be, and nothing is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from projections import (
    ApplyError,
    BuildError,
    Builds,
    CheckpointBeyondHeadError,
    KeyRefusedError,
    MemoryModel,
    Projection,
    ReadModel,
    Sql,
    as_of,
    catch_up,
    diff,
    diff_serving,
    make_build,
    rehearse,
    streams,
    what_if,
)
from store import Event, InvalidEventError, MemoryEventStore

THEN = datetime(2013, 1, 1, tzinfo=UTC)
LATER = [
    ("account-0", Event("Deposited", {"amount": 5}, occurred_at=THEN)),
    ("account-9", Event("Deposited", {"amount": 7}, occurred_at=THEN)),
    ("account-0", Event("Renamed", {}, occurred_at=THEN)),
    ("account-0", Event("Withdrawn", {"amount": 2}, occurred_at=THEN)),
]


def summing(version: int = 1, factor: int = 1, **more: Any) -> Projection:
    columns = pa.schema({"account": pa.string(), "total": pa.int64(), **{name: pa.int64() for name in more}})
    given = "".join(f", {value} as {name}" for name, value in more.items())
    select = f"select stream_id as account, {factor} * coalesce((data ->> 'amount')::bigint, 0) as total {given} from events"
    form = Sql(select, {name: "sum" for name in columns.names if name != "account"})
    return Projection(name="sums", version=version, key=("account",), columns=columns, form=form)


@pytest.mark.parametrize("behind", [0, 4, 9])
@pytest.mark.parametrize("kind", ["memory", "delta"])
def test_what_if_is_what_comes_if_it_does(accounts: Projection, store: MemoryEventStore, tmp_path: Path, kind: str, behind: int) -> None:
    model = MemoryModel(accounts) if kind == "memory" else ReadModel.under(str(tmp_path), accounts)
    if behind < 9:
        catch_up(store, model, until=9 - behind)
    expected = what_if(store, model, LATER)
    assert (store.head(), model.checkpoint()) == (9, 9 - behind), "nothing was written"
    for stream_id, event in LATER:
        store.append(stream_id, [event])
    found = diff(as_of(store, accounts, 9), as_of(store, accounts, 13))
    for side in ("added", "removed", "changed"):
        assert getattr(expected, side).sort_by("account").to_pylist() == getattr(found, side).sort_by("account").to_pylist()
    assert len(found.added) == 2


def test_what_if_events_stand_where_the_log_would_put_them(store: MemoryEventStore) -> None:
    last = store.read_all().read_all()["recorded_at"][-1].as_py()
    model = MemoryModel(streams)
    catch_up(store, model)
    found = what_if(store, model, LATER)
    assert found.added.select(["stream_id", "version", "first_position"]).to_pylist() == [
        {"stream_id": "account-9", "version": 1, "first_position": 11}
    ]
    changed = found.changed.to_pylist()[0]
    assert (changed["version"], changed["last_position"]) == ({"before": 5, "after": 8}, {"before": 9, "after": 13})
    assert changed["last_recorded_at"]["after"] >= last


def test_what_if_nothing_came_nothing_differs(accounts: Projection, store: MemoryEventStore) -> None:
    assert what_if(store, MemoryModel(accounts), []).is_empty
    assert what_if(store, MemoryModel(accounts), [("x", Event("Renamed", {}))]).is_empty
    assert len(what_if(MemoryEventStore(), MemoryModel(accounts), LATER).added) == 2


def test_what_if_refuses_what_the_log_or_the_projection_refuses(accounts: Projection, store: MemoryEventStore) -> None:
    model = MemoryModel(accounts)
    with pytest.raises(InvalidEventError):
        what_if(store, model, [("", Event("Deposited", {"amount": 1}))])
    with pytest.raises(ApplyError, match=r"positions? 10"):
        what_if(store, model, [("account-0", Event("Deposited", {"amount": "much"}))])
    catch_up(store, model)
    with pytest.raises(CheckpointBeyondHeadError):
        what_if(MemoryEventStore(), model, LATER)
    assert model.hold() is None


def test_new_code_is_compared_with_what_serves_at_the_same_position(store: MemoryEventStore, tmp_path: Path) -> None:
    serving = ReadModel.under(str(tmp_path), summing())
    catch_up(store, serving)
    store.append("account-0", [Event("Deposited", {"amount": 100})])
    assert rehearse(store, str(tmp_path), summing()).is_empty, "what came after its checkpoint is no difference of code"
    found = rehearse(store, str(tmp_path), summing(factor=2))
    assert found.changed.sort_by("account").to_pylist() == [
        {"account": "account-0", "total": {"before": 12, "after": 24}},
        {"account": "account-1", "total": {"before": 16, "after": 32}},
    ]
    assert serving.checkpoint() == 9


def test_a_place_may_be_called_as_one_likes(store: MemoryEventStore, tmp_path: Path) -> None:
    place = str(tmp_path / "it's [a] place")
    catch_up(store, ReadModel.under(place, summing()))
    assert rehearse(store, place, summing()).same == 2


def test_a_new_version_with_other_columns_is_compared_too(store: MemoryEventStore, tmp_path: Path) -> None:
    catch_up(store, ReadModel.under(str(tmp_path), summing(old=1)))
    found = rehearse(store, str(tmp_path), summing(version=2, new=1))
    assert (found.is_empty, found.same, found.apart) == (True, 2, {"old": (pa.int64(), None), "new": (None, pa.int64())})


def test_a_rehearsal_needs_something_that_serves_and_has_the_key(store: MemoryEventStore, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing serves"):
        rehearse(store, str(tmp_path), summing())
    catch_up(store, ReadModel.under(str(tmp_path), summing()))
    other = summing(version=2, book=1)
    with pytest.raises(KeyRefusedError, match="before has no column book"):
        rehearse(store, str(tmp_path), replace(other, key=("book",), form=Sql(other.form.select, {"account": "max", "total": "sum"})))  # type: ignore[attr-defined]


def test_a_build_in_the_making_is_compared_with_what_serves_before_it_does(store: MemoryEventStore, tmp_path: Path) -> None:
    place = str(tmp_path)
    catch_up(store, ReadModel.under(place, summing()))
    made = make_build(store, place, summing(version=2, factor=2))
    serving = Builds(place).serving(summing())
    assert (made.build.state, serving and serving.build) == ("making", "v1")
    assert diff_serving(place, made.model).changes() == {"total": 2}
    with pytest.raises(BuildError, match="nothing serves"):
        diff_serving(str(tmp_path / "elsewhere"), made.model)
    Builds(str(tmp_path / "begun")).begin(summing())
    with pytest.raises(BuildError, match="nothing serves"):
        diff_serving(str(tmp_path / "begun"), made.model)
