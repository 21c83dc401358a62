from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import (
    ApplyError,
    DeadLetters,
    Frame,
    Halt,
    Handlers,
    MemoryModel,
    Model,
    Park,
    Projection,
    ReadModel,
    Sql,
    catch_up,
    discard,
    fill,
    retry,
    status,
)
from projections.models.turn import DeltaTurn
from store import Event, EventType, EventTypes, MemoryEventStore, Upcast

COLUMNS = pa.schema({"account": pa.string(), "total": pa.int64()})


def deposits(read: Callable[[Mapping[str, Any]], int]) -> Projection:
    cls = msgspec.defstruct("Deposited", [("amount", Any)], frozen=True)

    def add(row: dict[str, Any] | None, event: Any, place: Any) -> dict[str, Any]:
        return {"account": place.stream_id, "total": (row["total"] if row else 0) + read({"amount": event.amount})}

    form = Handlers(on={"Deposited": add}, key=lambda event, place: place.stream_id)
    return Projection(name="sums", version=1, key=("account",), columns=COLUMNS, event_types=EventTypes(EventType("Deposited", cls)), form=form)


def whole(data: Mapping[str, Any]) -> int:
    return int(data["amount"])


def amounts(events: pl.DataFrame) -> pl.DataFrame:
    return events.select(account="stream_id", total=pl.col("data").str.json_path_match("$.amount").cast(pl.Int64))


SQL = Sql("select stream_id as account, (data ->> 'amount')::bigint as total from events", {"total": "sum"})
FRAME = Frame(touches=amounts, change=lambda current, events: pl.concat([current, amounts(events)]).group_by("account").sum())
FORMS = {
    "sql": Projection(name="sums", version=1, key=("account",), columns=COLUMNS, types=("Deposited",), form=SQL),
    "frame": Projection(name="sums", version=1, key=("account",), columns=COLUMNS, types=("Deposited",), form=FRAME),
    "handlers": deposits(whole),
}


@pytest.fixture(params=list(FORMS))
def projection(request: pytest.FixtureRequest) -> Projection:
    return FORMS[request.param]


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(str(tmp_path))


def record(store: MemoryEventStore, *events: tuple[str, Any]) -> MemoryEventStore:
    for account, amount in events:
        store.append(account, [Event("Deposited", {"amount": amount}, correlation_id=f"of-{amount}")])
    return store


def told(model: Model) -> dict[str, int]:
    return {row["account"]: row["total"] for row in model.rows().to_pylist()}


POISONED = [("a", 1), ("b", 1), ("a", "much"), ("b", 2), ("a", 3), ("c", "more"), ("b", 4), ("c", 5)]


@pytest.mark.parametrize("batch_events", [1, 3, 100])
@pytest.mark.parametrize("run", [catch_up, fill])
def test_the_stream_of_a_failing_event_is_parked_in_order_and_the_others_go_on(
    tmp_path: Path, projection: Projection, letters: DeadLetters, batch_events: int, run: Any
) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), projection)
    done = run(store, model, batch_events, failing=Park(letters, attempts=1))
    assert (done.checkpoint, told(model)) == (8, {"a": 1, "b": 7})
    parked = letters.of(model)
    assert parked.select(["stream_id", "position", "failed"]).to_pylist() == [
        {"stream_id": stream, "position": position, "failed": failed}
        for stream, position, failed in [("a", 3, True), ("a", 5, False), ("c", 6, True), ("c", 8, False)]
    ]
    first = parked.to_pylist()[0]
    assert (first["correlation_id"], "much" in first["error"], "much" in first["traceback"]) == ("of-much", True, True)
    assert status(store, str(tmp_path), projection).parked == 4
    record(store, ("a", 6), ("b", 8))
    run(store, model, batch_events, failing=Park(letters, attempts=1))
    assert (told(model), letters.of(model, "a")["position"].to_pylist()) == ({"a": 1, "b": 15}, [3, 5, 9])


def test_without_parking_the_run_halts_before_the_batch_and_says_which_event(projection: Projection) -> None:
    store, model = record(MemoryEventStore(), *POISONED), MemoryModel(projection)
    with pytest.raises(ApplyError, match="much"):
        catch_up(store, model, batch_events=2)
    assert (model.checkpoint(), told(model)) == (2, {"a": 1, "b": 1})
    assert "much" in model.hold().why  # type: ignore[union-attr]


def test_a_moment_of_weakness_is_tried_again() -> None:
    failures = iter([True, True, False])

    def weak(data: Mapping[str, Any]) -> int:
        if next(failures, False):
            raise ConnectionError("no answer")
        return whole(data)

    store, model = record(MemoryEventStore(), ("a", 1), ("a", 2)), MemoryModel(deposits(weak))
    catch_up(store, model, failing=Halt(attempts=3))
    assert told(model) == {"a": 3}


def test_more_letters_than_may_be_parked_halt_the_run(tmp_path: Path, projection: Projection, letters: DeadLetters) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), projection)
    with pytest.raises(ApplyError, match="only 3 may be parked"):
        catch_up(store, model, failing=Park(letters, most=3, attempts=1))
    assert (model.checkpoint(), len(letters.of(model))) == (0, 0)


def test_parked_events_can_be_retried_in_their_newest_shapes(tmp_path: Path, letters: DeadLetters) -> None:
    store = record(MemoryEventStore(), *POISONED)
    catch_up(store, ReadModel.under(str(tmp_path), FORMS["handlers"]), failing=Park(letters, attempts=1))
    lenient = deposits(lambda data: 100 if isinstance(data["amount"], str) else data["amount"])
    mended = ReadModel.under(str(tmp_path), lenient)
    mended.adopt()
    assert (retry(letters, mended, "a"), told(mended)) == (2, {"a": 104, "b": 7})
    assert (retry(letters, mended, "a"), letters.of(mended)["stream_id"].to_pylist()) == (0, ["c", "c"])
    record(store, ("a", 1), ("c", 1))
    catch_up(store, mended, failing=Park(letters))
    assert (told(mended), len(letters.of(mended))) == ({"a": 105, "b": 7}, 3)
    cls = msgspec.defstruct("Deposited", [("amount", int)], frozen=True)
    step = Upcast("Deposited", 1, lambda data: {"amount": len(str(data["amount"]))})
    types = EventTypes(EventType("Deposited", cls, schema_version=2), steps=[step])
    stepped = ReadModel.under(str(tmp_path), replace(lenient, event_types=types))
    stepped.adopt()
    assert (retry(letters, stepped, "c"), told(stepped)["c"]) == (3, 6)


def test_a_retry_that_fails_changes_nothing(tmp_path: Path, projection: Projection, letters: DeadLetters) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), projection)
    catch_up(store, model, failing=Park(letters, attempts=1))
    with pytest.raises(ApplyError, match="much"):
        retry(letters, model, "a")
    assert (told(model), len(letters.of(model, "a"))) == ({"a": 1, "b": 7}, 2)


def test_discarded_events_are_left_out_and_the_stream_goes_on(tmp_path: Path, projection: Projection, letters: DeadLetters) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), projection)
    catch_up(store, model, failing=Park(letters, attempts=1))
    assert (discard(letters, model, "a"), len(letters.of(model))) == (2, 2)
    record(store, ("a", 10))
    catch_up(store, model, failing=Park(letters, attempts=1))
    assert told(model) == {"a": 11, "b": 7}


class CutError(Exception):
    pass


def cut(*_: object, **__: object) -> None:
    raise CutError


def test_a_run_cut_off_between_the_letters_and_the_rows_is_repeated(
    tmp_path: Path, projection: Projection, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), projection)
    monkeypatch.setattr(DeltaTurn, "commit", cut)
    with pytest.raises(CutError):
        catch_up(store, model, failing=Park(letters, attempts=1))
    monkeypatch.undo()
    assert (len(letters.all()), len(letters.of(model))) == (4, 0)
    catch_up(store, model, failing=Park(letters, attempts=1))
    assert (told(model), len(letters.of(model))) == ({"a": 1, "b": 7}, 4)


def test_letters_of_a_run_cut_off_are_taken_back_by_code_that_can_apply_the_events(
    tmp_path: Path, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), FORMS["handlers"])
    monkeypatch.setattr(DeltaTurn, "commit", cut)
    with pytest.raises(CutError):
        catch_up(store, model, failing=Park(letters, attempts=1))
    monkeypatch.undo()
    mended = ReadModel.under(str(tmp_path), deposits(lambda data: 100 if isinstance(data["amount"], str) else data["amount"]))
    catch_up(store, mended, failing=Park(letters))
    assert (told(mended), len(letters.all())) == ({"a": 104, "b": 7, "c": 105}, 0)


def test_a_retry_cut_off_after_the_rows_applies_nothing_twice(tmp_path: Path, letters: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    store, model = record(MemoryEventStore(), *POISONED), ReadModel.under(str(tmp_path), FORMS["handlers"])
    catch_up(store, model, failing=Park(letters, attempts=1))
    mended = ReadModel.under(str(tmp_path), deposits(lambda data: 100 if isinstance(data["amount"], str) else data["amount"]))
    mended.adopt()
    monkeypatch.setattr(DeadLetters, "remove", cut)
    with pytest.raises(CutError):
        retry(letters, mended, "a")
    monkeypatch.undo()
    assert (told(mended)["a"], len(letters.of(mended, "a")), retry(letters, mended, "a")) == (104, 0, 0)


def test_the_letters_of_one_projection_are_not_anothers(tmp_path: Path, letters: DeadLetters) -> None:
    store = record(MemoryEventStore(), *POISONED)
    models = [ReadModel.under(str(tmp_path), replace(FORMS["sql"], name=name)) for name in ("one", "two")]
    for model in models:
        catch_up(store, model, failing=Park(letters, attempts=1))
    discard(letters, models[0], "a")
    assert [len(letters.of(model)) for model in models] == [2, 4]


@settings(max_examples=20, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([1, 2, 3, "x"])), max_size=20),
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    form=st.sampled_from(list(FORMS)),
)
def test_parked_and_applied_events_together_are_the_log(events: list[tuple[str, Any]], sizes: list[int], form: str) -> None:
    store = record(MemoryEventStore(), *events)
    applied: dict[str, int] = {}
    parked: list[int] = []
    poisoned = set()
    for position, (account, amount) in enumerate(events, 1):
        if amount == "x" or account in poisoned:
            poisoned.add(account)
            parked.append(position)
        else:
            applied[account] = applied.get(account, 0) + amount
    with tempfile.TemporaryDirectory() as directory:
        letters, model = DeadLetters(directory), ReadModel.under(directory, FORMS[form])
        for number, size in enumerate(sizes, 1):
            catch_up(store, model, size, until=number * len(events) // len(sizes), failing=Park(letters, attempts=1))
        assert (told(model), letters.of(model)["position"].to_pylist()) == (applied, parked)
