from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from projections import BehindError, Projection, ReadModel, Sql, catch_up, follow, wait_for
from projections.running import following
from projections.running.following import OnHalted
from store import Event, EventStore, MemoryEventStore, StorageError, open_store


def counting(name: str, select: str = "select type, 1 as events from events") -> Projection:
    columns = pa.schema({"type": pa.string(), "events": pa.int64()})
    return Projection(name=name, version=1, key=("type",), columns=columns, form=Sql(select=select, combine={"events": "count"}))


@pytest.fixture(params=["memory", "delta"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    with MemoryEventStore() if request.param == "memory" else open_store(str(tmp_path), create=True) as store:
        yield store


@pytest.fixture
def model(tmp_path: Path) -> ReadModel:
    return ReadModel.under(str(tmp_path), counting("counted"))


@contextmanager
def followed(store: EventStore, models: Sequence[ReadModel], halted: OnHalted = lambda *_: None) -> Iterator[None]:
    stop = threading.Event()
    follower = threading.Thread(target=follow, args=(store, models, stop, halted))
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join(30)
        assert not follower.is_alive()


def events(model: ReadModel) -> int:
    return sum(model.rows("events")["events"].to_pylist())


def test_what_was_appended_is_seen_by_who_waits_for_it(log: EventStore, model: ReadModel) -> None:
    with followed(log, [model]):
        for number in range(1, 6):
            wait_for(model, log.append("a", [Event("Happened", {})]).position)
            assert events(model) == number


def test_followers_of_one_model_apply_every_event_once(log: EventStore, model: ReadModel) -> None:
    with followed(log, [model]), followed(log, [model]):
        for _ in range(30):
            last = log.append("a", [Event("Happened", {})])
        wait_for(model, last.position)
    assert events(model) == 30


def test_one_that_cannot_go_on_is_told_and_the_others_do(log: EventStore, model: ReadModel, tmp_path: Path) -> None:
    poisoned = ReadModel.under(str(tmp_path), counting("poisoned", "select type, (data ->> 'n')::bigint as events from events"))
    told: list[tuple[str, str]] = []
    with followed(log, [poisoned, model], lambda halted, error: told.append((halted.projection.name, str(error)))):
        wait_for(poisoned, log.append("a", [Event("Happened", {"n": 1})]).position)
        last = log.append("a", [Event("Happened", {"n": "one"})])
        wait_for(model, last.position)
        last = log.append("a", [Event("Happened", {"n": 2})])
        wait_for(model, last.position)
        assert (events(model), events(poisoned), poisoned.checkpoint()) == (3, 1, 1)
        while not told:
            pass
    assert [name for name, _ in told] == ["poisoned"]
    assert re.search(r"at positions? 2\b", told[0][1])


def test_it_ends_when_all_are_halted(log: EventStore, tmp_path: Path) -> None:
    poisoned = ReadModel.under(str(tmp_path), counting("poisoned", "select type, (data ->> 'n')::bigint as events from events"))
    log.append("a", [Event("Happened", {"n": "one"})])
    told: list[ReadModel] = []
    follow(log, [poisoned], threading.Event(), lambda halted, error: told.append(halted))
    assert told == [poisoned]


def test_storage_that_refuses_for_a_while_is_asked_again(model: ReadModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryEventStore() as store:
        head, refusals = store.head, iter(range(3))

        def unsteady() -> int:
            if next(refusals, None) is not None:
                raise StorageError("the bucket does not answer")
            return head()

        monkeypatch.setattr(following, "PACE_S", 0.001)
        appended = store.append("a", [Event("Happened", {})])
        monkeypatch.setattr(store, "head", unsteady)
        with followed(store, [model]):
            wait_for(model, appended.position)
        assert next(refusals, None) is None


def test_an_error_that_nobody_expects_stops_all_and_is_raised(model: ReadModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ReadModel.under(str(tmp_path), counting("other"))
    catching_up = catch_up

    def broken(store: EventStore, model: ReadModel, **given: Any) -> Any:
        if model is other:
            raise ZeroDivisionError
        return catching_up(store, model, **given)

    monkeypatch.setattr(following, "catch_up", broken)
    with MemoryEventStore() as store:
        store.append("a", [Event("Happened", {})])
        with pytest.raises(ZeroDivisionError):
            follow(store, [model, other], threading.Event(), lambda *_: None)


def test_who_waits_in_vain_is_told_how_far_it_is(log: EventStore, model: ReadModel) -> None:
    log.append("a", [Event("Happened", {})])
    catch_up(log, model)
    wait_for(model, 1, timeout_s=0)
    with pytest.raises(BehindError, match=r"at position 1, not at 2, after 0\.01 s: is anything following the log") as behind:
        wait_for(model, 2, timeout_s=0.01)
    assert (behind.value.checkpoint, behind.value.position) == (1, 2)
