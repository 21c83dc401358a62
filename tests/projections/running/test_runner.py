from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import (
    ApplyError,
    CheckpointBeyondHeadError,
    CheckpointMovedError,
    Handlers,
    Place,
    Projection,
    ReadModel,
    Sql,
    catch_up,
    lag,
)
from store import Event, EventType, EventTypes, MemoryEventStore

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["account-a", "account-b", "account-c"]),
        st.sampled_from(["Deposited", "Withdrawn", "Renamed"]),
        st.integers(0, 1000),
        st.sampled_from([None, "x", "y"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


def record(store: MemoryEventStore, changes: list[tuple[str, str, int, str | None, int]]) -> None:
    for stream, type, amount, note, days in changes:
        occurred_at = datetime(2013, 1, 1, tzinfo=UTC) + timedelta(days=days)
        store.append(stream, [Event(type, {"amount": amount, "note": note}, occurred_at=occurred_at)])


def rows(model: ReadModel) -> list[dict[str, Any]]:
    table: pa.Table = model.rows().sort_by([(name, "ascending") for name in model.projection.key])
    return list(table.to_pylist())


def folded(store: MemoryEventStore) -> list[dict[str, Any]]:
    """The rows of `accounts` by a fold in Python."""
    states: dict[tuple[str, Any], dict[str, Any]] = {}
    for event in store.read_all(types=["Deposited", "Withdrawn"]).read_all().to_pylist():
        data = json.loads(event["data"])
        key = (event["stream_id"], event["occurred_at"].date())
        row = states.setdefault(key, {"account": key[0], "day": key[1], "changes": 0, "balance": 0, "opened_by": event["type"], "note": None})
        row["changes"] += 1
        row["balance"] += data["amount"] * (1 if event["type"] == "Deposited" else -1)
        row["smallest"] = min(row.get("smallest", data["amount"]), data["amount"])
        row["largest"] = max(row.get("largest", data["amount"]), data["amount"])
        row["last_type"] = event["type"]
        row["note"] = data["note"] or row["note"]
    return [states[key] for key in sorted(states)]


@settings(max_examples=25, deadline=None)
@given(first=CHANGES, then=CHANGES, sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_law_8_rebuild_is_incremental_for_every_batch_size_and_restart(accounts: Projection, first: Any, then: Any, sizes: list[int]) -> None:
    store = MemoryEventStore()
    with tempfile.TemporaryDirectory() as directory:
        piecemeal, at_once = (ReadModel(f"{directory}/{name}", accounts) for name in ("piecemeal", "at_once"))
        record(store, first)
        catch_up(store, piecemeal, batch_events=sizes[0])
        record(store, then)
        for size in sizes:  # each a restart; all but the first find nothing left
            catch_up(store, piecemeal, batch_events=size)
        catch_up(store, at_once)
        assert rows(piecemeal) == rows(at_once) == folded(store)
        assert piecemeal.checkpoint() == at_once.checkpoint() == store.head()


def test_a_run_tells_what_it_did(store: MemoryEventStore, model: ReadModel) -> None:
    done = catch_up(store, model)
    assert (done.events, done.rows, done.checkpoint) == (8, 2, 9)
    assert done.seconds > 0


def test_with_nothing_new_nothing_is_written(store: MemoryEventStore, model: ReadModel) -> None:
    catch_up(store, model)
    before = model.delta_version()
    assert catch_up(store, model).events == 0
    assert model.delta_version() == before


def test_events_of_other_types_move_the_checkpoint_alone(store: MemoryEventStore, model: ReadModel) -> None:
    catch_up(store, model)
    before = rows(model)
    store.append("account-0", [Event("Renamed", {})])
    assert lag(store, model) == 1
    done = catch_up(store, model)
    assert (done.events, done.rows, done.checkpoint, lag(store, model)) == (0, 0, 10, 0)
    assert rows(model) == before


def test_only_touched_rows_are_written(store: MemoryEventStore, model: ReadModel) -> None:
    catch_up(store, model)
    store.append("account-1", [Event("Deposited", {"amount": 1})])
    assert catch_up(store, model).rows == 1


def test_a_checkpoint_beyond_the_head_is_refused(store: MemoryEventStore, model: ReadModel) -> None:
    catch_up(store, model)
    with pytest.raises(CheckpointBeyondHeadError, match="rebuild"):
        catch_up(MemoryEventStore(), model)


def test_events_the_select_cannot_take_are_named_and_not_applied(store: MemoryEventStore, model: ReadModel) -> None:
    catch_up(store, model)
    store.append("account-0", [Event("Deposited", {"amount": 1}), Event("Deposited", {"amount": "much"})])
    with pytest.raises(ApplyError, match="'much'") as failure:
        catch_up(store, model)
    assert (failure.value.first, failure.value.last) == (10, 11)
    assert model.checkpoint() == 9


def test_a_row_without_its_key_is_refused(store: MemoryEventStore, tmp_path: Path) -> None:
    columns = pa.schema({"note": pa.string(), "n": pa.int64()})
    keyless = Projection(
        name="keyless", version=1, key=("note",), columns=columns, form=Sql("select data ->> 'absent' as note, 1 as n from events", {"n": "count"})
    )
    with pytest.raises(ApplyError, match="no note"):
        catch_up(store, ReadModel.under(str(tmp_path), keyless))


def test_two_runners_at_once_double_nothing(model: ReadModel) -> None:
    store = MemoryEventStore()
    record(store, [(f"account-{n % 3}", "Deposited", n, None, 0) for n in range(60)])
    model.turn()
    together, lost = threading.Barrier(4), []

    def run() -> None:
        together.wait()
        while lag(store, model):
            try:
                catch_up(store, model, batch_events=7)
            except CheckpointMovedError:
                lost.append(1)

    runners = [threading.Thread(target=run) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    assert rows(model) == folded(store)
    assert model.delta_version() <= 60 // 7 + 1 + len(lost)


CHILD = """
import sys
sys.path[:0] = [{root!r}]
from projections import ReadModel, catch_up
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("cases", {cases!r})
cases = sys.modules["cases"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
store, model = cases.crash_case({directory!r}, {form!r})
catch_up(store, model, batch_events=2)
"""


def crash_case(directory: str, form: str) -> tuple[MemoryEventStore, ReadModel]:
    """The same log in every process: 400 events in 5 accounts, which by handlers are closed by every 39th event of theirs."""
    store = MemoryEventStore()
    for n in range(400):
        store.append(f"account-{n % 5}", [Event("Deposited", {"amount": n})])
    columns = pa.schema({"account": pa.string(), "n": pa.int64(), "latest": pa.int64()})
    if form == "handlers":
        handlers = Handlers(on={"Deposited": deposited}, key=lambda event, place: place.stream_id)
        types = EventTypes(EventType("Deposited", Deposited))
        projection = Projection(name="closing", version=1, key=("account",), columns=columns, form=handlers, event_types=types)
    else:
        select = "select stream_id as account, 1 as n, position as latest, position from events"
        projection = Projection(name="sums", version=1, key=("account",), columns=columns, form=Sql(select, {"n": "count", "latest": "last"}))
    return store, ReadModel.under(directory, projection)


@dataclass
class Deposited:
    amount: int


def deposited(row: dict[str, Any] | None, event: Deposited, place: Place) -> dict[str, Any] | None:
    if row is not None and row["n"] == 38:
        return None
    return {"account": place.stream_id, "n": 1 + (row["n"] if row else 0), "latest": place.position}


@pytest.mark.parametrize(("form", "left"), [("sql", 80), ("handlers", 2)])
def test_law_7_a_runner_killed_anywhere_repeats_and_loses_nothing(tmp_path: Path, form: str, left: int) -> None:
    store, model = crash_case(str(tmp_path), form)
    child = CHILD.format(root=str(Path.cwd()), cases=__file__, directory=str(tmp_path), form=form)
    for kill_at in (1, 41, 95):
        runner = subprocess.Popen([sys.executable, "-c", child])
        while model.checkpoint() < kill_at:
            assert runner.poll() is None
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        assert kill_at <= model.checkpoint() < store.head()
    catch_up(store, model)
    assert [(row["n"], row["latest"]) for row in rows(model)] == [(left, 396 + n) for n in range(5)]
