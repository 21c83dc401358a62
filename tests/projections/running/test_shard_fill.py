from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from projections import (
    ApplyError,
    CheckpointBeyondHeadError,
    DeclarationError,
    Handlers,
    MemoryModel,
    Projection,
    ProjectionError,
    ReadModel,
    catch_up,
    fill_by_shard,
)
from store import Event, open_store
from tests.projections.tills import CLERKS, SUMS, TILLS, UNSEEN, Put, log, put, till


def rows(model: ReadModel | MemoryModel) -> list[dict[str, Any]]:
    return list(model.rows().sort_by("till").to_pylist())


def expected(warehouse: str, projection: Projection) -> list[dict[str, Any]]:
    model = MemoryModel(projection)
    with open_store(warehouse) as store:
        catch_up(store, model)
    return rows(model)


def read_events(warehouse: str, projection: Projection) -> int:
    with open_store(warehouse) as store:
        return int(store.read_all(types=projection.types).read_all().num_rows)


@pytest.mark.parametrize(("projection", "processes", "span_events"), [(TILLS, 1, 300), (TILLS, 2, 77), (SUMS, 3, 120), (TILLS, 5, 1000)])
def test_law_8_rows_are_those_of_catching_up(tmp_path: Path, projection: Projection, processes: int, span_events: int) -> None:
    warehouse = log(tmp_path, 300)
    model = ReadModel.under(warehouse, projection)
    done = fill_by_shard(warehouse, model, processes, span_events)
    assert rows(model) == expected(warehouse, projection) != []
    assert (done.checkpoint, model.checkpoint(), done.events) == (300, 300, read_events(warehouse, projection))


def test_it_goes_on_where_another_run_ended(tmp_path: Path) -> None:
    warehouse = log(tmp_path, 200)
    model = ReadModel.under(warehouse, TILLS)
    with open_store(warehouse) as store:
        catch_up(store, model, until=90)
    assert fill_by_shard(warehouse, model).events == 110
    assert rows(model) == expected(warehouse, TILLS)


def test_a_span_is_one_commit(tmp_path: Path) -> None:
    warehouse = log(tmp_path, 100)
    model = ReadModel.under(warehouse, TILLS)
    model.turn()
    fill_by_shard(warehouse, model, span_events=50)
    assert model.delta_version() == 1


@pytest.mark.parametrize("projection", [CLERKS, UNSEEN])
def test_rows_that_several_streams_touch_are_refused_and_nothing_is_written(tmp_path: Path, projection: Projection) -> None:
    warehouse = log(tmp_path, 100)
    model = ReadModel.under(warehouse, projection)
    with pytest.raises(DeclarationError, match=r"by_stream is True, but events of several streams touch the row {'till': 'Ada'}.* use `fill`"):
        fill_by_shard(warehouse, model)
    assert (model.checkpoint(), model.row_count()) == (0, 0)


def test_a_touch_that_changes_nothing_is_seen_too(tmp_path: Path) -> None:
    """The till that one process empties is none that it has ever seen filled: it gives no change, yet it should have."""
    with open_store(tmp_path, create=True) as store:
        for number in range(40):
            store.append(f"till-{number}", [Event("Put", {"cents": 1}, schema_version=2) if number == 3 else Event("Emptied", {})])
    model = ReadModel.under(str(tmp_path), UNSEEN)
    with pytest.raises(DeclarationError, match="several streams touch"):
        fill_by_shard(str(tmp_path), model)


def test_a_projection_that_is_not_by_stream_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match=r"by_stream is not said: say by_stream=True .* else use `fill`"):
        fill_by_shard(str(tmp_path), ReadModel.under(str(tmp_path), replace(TILLS, by_stream=False)))


def test_what_cannot_be_sent_to_a_process_is_refused_with_the_remedy(tmp_path: Path) -> None:
    nameless = replace(TILLS, form=Handlers(on={Put: put}, key=lambda event, place: place.stream_id))
    for model in (ReadModel.under(str(tmp_path), nameless), MemoryModel(TILLS)):
        with pytest.raises(DeclarationError, match=r"cannot be sent to a process .* at the top of a module"):
            fill_by_shard(str(tmp_path), model)


def test_what_only_a_process_finds_to_be_missing_is_refused_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = log(tmp_path, 10)
    monkeypatch.setattr(sys.modules[till.__module__], "here", till, raising=False)
    monkeypatch.setattr(till, "__qualname__", "here")
    with pytest.raises(DeclarationError, match=r"cannot be sent to a process \(AttributeError.*here"):
        fill_by_shard(warehouse, ReadModel.under(warehouse, TILLS))


def test_an_event_that_cannot_be_applied_is_told_and_halts_the_model(tmp_path: Path) -> None:
    warehouse = log(tmp_path, 60, ("till-7", Event("Put", {"cents": 666}, schema_version=2, correlation_id="case-7")))
    model = ReadModel.under(warehouse, TILLS)
    with pytest.raises(ApplyError, match="a cursed amount") as failure:
        fill_by_shard(warehouse, model, span_events=50)
    told = failure.value
    assert (told.projection, told.first, told.last, told.stream_id, told.correlation_id) == ("tills", 61, 61, "till-7", "case-7")
    assert model.checkpoint() == 50
    hold = model.hold()
    assert hold is not None
    assert (hold.kind, "a cursed amount" in hold.why) == ("halted", True)


def test_a_process_that_dies_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    warehouse = log(tmp_path, 60, ("till-7", Event("Put", {"cents": 999}, schema_version=2)))
    model = ReadModel.under(warehouse, TILLS)
    with pytest.raises(ProjectionError, match="fewer processes"):
        fill_by_shard(warehouse, model)
    assert (model.checkpoint(), model.row_count()) == (0, 0)


def test_a_checkpoint_beyond_the_head_is_refused(tmp_path: Path) -> None:
    longer, shorter = log(tmp_path / "longer", 20), log(tmp_path / "shorter", 10)
    model = ReadModel.under(longer, TILLS)
    fill_by_shard(longer, model, processes=1)
    with pytest.raises(CheckpointBeyondHeadError, match="rebuild"):
        fill_by_shard(shorter, model)


@pytest.mark.parametrize(("processes", "span_events"), [(0, 1), (17, 1), (2, 0)])
def test_numbers_that_make_no_sense_are_refused(tmp_path: Path, processes: int, span_events: int) -> None:
    with pytest.raises(ValueError, match="give 1 to 16 processes"):
        fill_by_shard(str(tmp_path), ReadModel.under(str(tmp_path), TILLS), processes, span_events)


def test_an_error_goes_from_process_to_process_with_its_fields() -> None:
    error = ApplyError("p", 3, 3, "why", stream_id="s", type="t", correlation_id="c")
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), vars(there)) == (str(error), vars(error))


CHILD = """
import sys
sys.path[:0] = [{root!r}]
from projections import ReadModel, fill_by_shard
from tests.projections.tills import TILLS
if __name__ == "__main__":
    fill_by_shard({warehouse!r}, ReadModel.under({warehouse!r}, TILLS), processes=2, span_events=5)
"""


def test_law_7_a_fill_killed_anywhere_repeats_and_loses_nothing_and_leaves_no_process(tmp_path: Path) -> None:
    warehouse = log(tmp_path / "w", 600)
    script, model = tmp_path / "child.py", ReadModel.under(warehouse, TILLS)
    script.write_text(CHILD.format(root=str(Path.cwd()), warehouse=warehouse))
    for kill_at in (5, 50):
        runner = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
        while model.checkpoint() < kill_at:
            assert runner.poll() is None
        runner.send_signal(signal.SIGKILL)
        runner.communicate(timeout=60)             # it ends when the last of its processes has let go of the pipe
        assert kill_at <= model.checkpoint() < 600
    fill_by_shard(warehouse, model)
    assert rows(model) == expected(warehouse, TILLS)
