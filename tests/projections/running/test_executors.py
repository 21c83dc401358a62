"""Executors: whoever runs the tasks of a fill, the table is the same."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from projections import ApplyError, Executor, ExecutorError, Folded, MemoryModel, Processes, Ray, ReadModel, Serial, catch_up, fill_by_shard
from store import Event, open_store
from tests.projections.tills import TILLS, log


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Of this machine, begun once."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(params=["serial", "processes", "ray"])
def executor(request: pytest.FixtureRequest) -> Executor:
    match request.param:
        case "serial":
            return Serial()
        case "processes":
            return Processes(2)
    request.getfixturevalue("cluster")
    return Ray()


def rows(model: ReadModel | MemoryModel) -> list[dict[str, Any]]:
    return list(model.rows().sort_by("till").to_pylist())


def expected(warehouse: str) -> list[dict[str, Any]]:
    model = MemoryModel(TILLS)
    with open_store(warehouse) as store:
        catch_up(store, model)
    return rows(model)


class Noted(list[Any]):
    record = list.append


def fatal(path: Path) -> tuple[str, Event]:
    """An event whose handler kills its process, the first time."""
    path.write_text("")
    return f"till-{path.name}", Event("Put", {"cents": 998, "clerk": str(path)}, schema_version=2)


def test_every_executor_gives_the_table_of_catching_up(tmp_path: Path, executor: Executor) -> None:
    warehouse, noted = log(tmp_path, 250), Noted()
    model = ReadModel.under(warehouse, TILLS)
    done = fill_by_shard(warehouse, model, span_events=150, executor=executor, observer=noted)
    assert rows(model) == expected(warehouse) != []
    assert (done.checkpoint, done.events, model.checkpoint()) == (250, 250, 250)
    told = [one for one in noted if isinstance(one, Folded) and one.until == 250]
    assert sorted(shard for one in told for shard in one.shards) == [f"h{digit:x}" for digit in range(16)]
    assert [one.done for one in told] == list(range(1, told[0].of + 1))
    assert sum(one.events for one in noted if isinstance(one, Folded)) == 250


def test_the_table_is_the_same_when_workers_are_killed_midway(tmp_path: Path, executor: Executor) -> None:
    if executor == Serial():
        pytest.skip("it has no workers")
    warehouse = log(tmp_path / "warehouse", 150, fatal(tmp_path / "2"), fatal(tmp_path / "1"))
    model = ReadModel.under(warehouse, TILLS)
    fill_by_shard(warehouse, model, executor=executor)
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse"]       # both have died
    assert rows(model) == expected(warehouse)


def test_what_tasks_have_written_is_gone_once_it_is_committed(tmp_path: Path, executor: Executor) -> None:
    warehouse = log(tmp_path, 100)
    model = ReadModel.under(warehouse, TILLS)
    fill_by_shard(warehouse, model, executor=executor)
    assert {Path(file).name for file in model.files()} == {file.name for file in Path(model.uri).glob("*.parquet")}


def test_a_read_model_in_an_object_store_is_filled_alike(s3_warehouse: str) -> None:
    with open_store(s3_warehouse, create=True) as store:
        for number in range(30):
            store.append(f"till-{number}", [Event("Put", {"cents": number}, schema_version=2)])
    model = ReadModel.under(s3_warehouse, TILLS)
    fill_by_shard(s3_warehouse, model, executor=Serial())
    assert rows(model) == expected(s3_warehouse) != []


def test_an_error_is_that_of_the_task_and_nothing_is_written(tmp_path: Path, executor: Executor) -> None:
    warehouse = log(tmp_path, 60, ("till-7", Event("Put", {"cents": 666}, schema_version=2, correlation_id="case-7")))
    model = ReadModel.under(warehouse, TILLS)
    with pytest.raises(ApplyError, match="a cursed amount") as failure:
        fill_by_shard(warehouse, model, executor=executor)
    assert (failure.value.first, failure.value.stream_id, failure.value.correlation_id) == (61, "till-7", "case-7")
    assert (model.checkpoint(), model.row_count()) == (0, 0)


def test_workers_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    given_up = rf"workers died 4 times .*; not done: {tmp_path}: is there memory for so many"
    with pytest.raises(ExecutorError, match=given_up), Processes(1) as processes:
        list(processes.map(die, [tmp_path]))
    assert len(list(tmp_path.iterdir())) == 4


def die(place: Path) -> None:
    (place / str(os.getpid())).write_text("")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_is_done_is_not_done_again_when_another_dies(tmp_path: Path) -> None:
    with Processes(1) as processes:
        answers = list(processes.map(die_once, [(tmp_path, number) for number in range(4)]))
    assert sorted(answers) == [0, 1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-0", "1-0", "2-0", "2-1", "3-0"]


def die_once(task: tuple[Path, int]) -> int:
    place, number = task
    tried = len(list(place.glob(f"{number}-*")))
    (place / f"{number}-{tried}").write_text("")
    if number == 2 and not tried:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_without_ray_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ExecutorError, match=r"pip install 'alluvium\[ray\]'"):
        list(Ray().map(len, ["task"]))


def test_a_number_of_processes_that_does_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 processes do nothing"):
        Processes(0)
