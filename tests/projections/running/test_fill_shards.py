from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import (
    SHARDS,
    ApplyError,
    BuildError,
    Builds,
    CheckpointBeyondHeadError,
    DeclarationError,
    Executor,
    Leases,
    MemoryModel,
    PausedError,
    Processes,
    Projection,
    ReadModel,
    ReadModelRefusedError,
    Serial,
    ServingModel,
    UnderWayError,
    catch_up,
    fill_build,
    fill_shards,
    fold_shards,
    make_build,
    publish_shards,
    rebuild,
)
from store import Event, EventStore, KeyedTable, KeyedTurn, MemoryEventStore, open_store
from tests.projections.tills import CLERKS, SUMS, TILLS, log

PROJECTIONS = {projection.name: projection for projection in (TILLS, SUMS)}


def rows(model: ReadModel | MemoryModel) -> list[dict[str, Any]]:
    return list(model.rows().sort_by("till").to_pylist())


def expected(store: EventStore, projection: Projection, until: int | None = None) -> list[dict[str, Any]]:
    model = MemoryModel(projection)
    catch_up(store, model, until=until)
    return rows(model)


def history(events: int) -> MemoryEventStore:
    chance, store = random.Random(events), MemoryEventStore()
    for number in range(events):
        event = Event("Put", {"cents": number}, schema_version=2) if chance.random() < 0.8 else Event("Emptied", {})
        store.append(f"till-{chance.randrange(40)}", [event])
    return store


@st.composite
def fills(draw: st.DrawFn) -> list[Sequence[str]]:
    """Calls that together name every shard, in any order and grouping, some of them again."""
    order = draw(st.permutations(SHARDS))
    cuts = sorted(draw(st.sets(st.integers(1, len(SHARDS) - 1), max_size=6)))
    groups = [order[first:last] for first, last in zip([0, *cuts], [*cuts, len(SHARDS)], strict=True)]
    again = draw(st.lists(st.lists(st.sampled_from(SHARDS), min_size=1, max_size=5), max_size=3))
    return list(draw(st.permutations([*groups, *again])))


class CutError(Exception):
    """What ends a call amid it."""


CUTS = {
    "before it commits": (KeyedTurn, "record", False),
    "when a file is written": (KeyedTable, "stage", True),
    "right after it has committed": (KeyedTurn, "record", True),
}


def cut_off(patch: pytest.MonkeyPatch, where: str) -> None:
    """Let the next calls end there."""
    owner, name, after = CUTS[where]
    made = getattr(owner, name)

    def call(*given: Any) -> None:
        if after:
            made(*given)
        raise CutError

    patch.setattr(owner, name, call)


@given(
    st.sampled_from(sorted(PROJECTIONS)),
    fills(),
    st.lists(st.sampled_from([None, *CUTS]), min_size=10, max_size=10),
    st.integers(1, 150),
    st.integers(0, 30),
)
@settings(max_examples=15, deadline=None)
def test_law_8_rows_are_those_of_catching_up_for_every_partitioning_order_failure_and_repeat(
    name: str, calls: list[Sequence[str]], cuts: list[str | None], before: int, meanwhile: int
) -> None:
    store, projection = history(before), PROJECTIONS[name]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:
        model = ReadModel(place, projection)
        fill_shards(store, model, [])
        for _ in range(meanwhile):
            store.append("till-3", [Event("Put", {"cents": 1}, schema_version=2)])
        for shards, cut in zip(calls, cuts, strict=False):
            with pytest.MonkeyPatch.context() as patch, suppress(CutError):
                if cut is not None:
                    cut_off(patch, cut)
                fill_shards(store, model, shards)
        with pytest.MonkeyPatch.context() as patch:              # a vacuum that takes at once what nobody names
            patch.setattr("store.keyed.upkeep.UNNAMED_S", 0.0)
            model.maintain()
        for shards in calls:
            fill_shards(store, model, shards)
        assert (publish_shards(model), publish_shards(model)) == (model.row_count(), 0)
        assert (model.checkpoint(), rows(model)) == (before, expected(store, projection, before))
        catch_up(store, model)
        assert rows(model) == expected(store, projection)


def test_every_call_is_one_commit_of_where_its_rows_are_and_one_more_publishes_all(tmp_path: Path) -> None:
    store, model = history(120), ReadModel(str(tmp_path), TILLS)
    first = fill_shards(store, model, SHARDS[:4])
    assert (model.delta_version(), first.left, first.until) == (1, SHARDS[4:], 120)      # 0: the position is fixed
    again = fill_shards(store, model, SHARDS[:4])
    assert (model.delta_version(), again.events, again.left) == (1, 0, SHARDS[4:])
    rest = fill_shards(store, model)
    assert (model.delta_version(), model.checkpoint(), rest.left, first.events + rest.events) == (2, 0, (), 120)
    assert (model.row_count(), publish_shards(model)) == (0, first.rows + rest.rows)
    assert (model.delta_version(), model.checkpoint(), model.row_count()) == (3, 120, first.rows + rest.rows)
    assert sum(1 for _ in tmp_path.glob("*.parquet")) == 1       # what was staged is gone


def test_of_an_empty_log_nothing_is_filled_or_begun(tmp_path: Path) -> None:
    store, model = history(0), ReadModel(str(tmp_path), TILLS)
    assert (fill_shards(store, model).until, model.delta_version()) == (0, -1)


def test_what_is_published_is_not_filled_again(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    fill_shards(store, model)
    publish_shards(model)
    store.append("till-1", [Event("Emptied", {})])
    assert (fill_shards(store, model).events, publish_shards(model), model.delta_version()) == (0, 0, 2)
    assert catch_up(store, model).events == 1


def test_what_is_made_otherwise_is_not_filled(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    catch_up(store, model, until=30)
    with pytest.raises(BuildError, match=r"made otherwise, up to position 30 so far.*go on with `rebuild`, or drop"):
        fill_shards(store, model, SHARDS[:1])


def test_nothing_is_published_of_which_shards_are_missing(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    with pytest.raises(BuildError, match="no shard is filled"):
        publish_shards(model)
    fill_shards(store, model, SHARDS[1:])
    with pytest.raises(BuildError, match="fill the others first: h0"):
        publish_shards(model)


def test_a_publisher_that_was_cut_off_or_overtaken_publishes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    fill_shards(store, model)
    with monkeypatch.context() as patch:
        patch.setattr(KeyedTurn, "replace_by", lambda *given: raised(CutError()))
        with pytest.raises(CutError):
            publish_shards(model)
    merged, others = KeyedTable.merged, list[int]()

    def overtaken(table: KeyedTable, files: Any) -> Any:
        monkeypatch.undo()
        others.append(publish_shards(ReadModel(str(tmp_path), TILLS)))
        return merged(table, files)

    monkeypatch.setattr(KeyedTable, "merged", overtaken)
    assert (publish_shards(model), others) == (0, [model.row_count()])
    assert rows(model) == expected(store, TILLS)


def test_staged_rows_that_are_gone_are_told_and_nothing_is_published(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    fill_shards(store, model)
    next(tmp_path.glob("*.parquet")).unlink()
    with pytest.raises(ReadModelRefusedError, match="is missing"):
        publish_shards(model)
    assert model.checkpoint() == 0


def test_nobody_runs_a_model_of_which_shards_are_missing(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    fill_shards(store, model, SHARDS[3:])
    assert model.checkpoint() == 0
    with pytest.raises(BuildError, match=r"13 of 16 shards are filled up to position 50.*fill the others .h0, h1, h2. by `fill_shards`, or drop"):
        catch_up(store, model)
    fill_shards(store, model)
    with pytest.raises(BuildError, match=r"16 of 16 shards are filled up to position 50.*publish them by `publish_shards`, or drop"):
        catch_up(store, model)


def test_a_reset_forgets_what_was_filled(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    fill_shards(store, model, SHARDS[3:])
    model.reset()
    catch_up(store, model)
    assert rows(model) == expected(store, TILLS)


def test_a_rebuild_goes_on_with_the_build_that_was_filled_and_switches(tmp_path: Path) -> None:
    store, place = history(50), str(tmp_path)
    rebuild(store, place, TILLS)
    build = Builds(place).begin(TILLS)
    fill_shards(store, ReadModel(Builds(place).uri("tills", build.build), TILLS))
    store.append("till-1", [Event("Put", {"cents": 7}, schema_version=2)])
    done = rebuild(store, place, TILLS)
    assert (done.build.build, done.filled.events) == (build.build, 1)
    assert rows(ReadModel.under(place, TILLS)) == expected(store, TILLS)


def test_a_build_of_which_shards_are_missing_never_serves(tmp_path: Path) -> None:
    store, place = history(50), str(tmp_path)
    builds = Builds(place)
    build = builds.beside(TILLS)
    model = ReadModel(builds.uri("tills", build.build), TILLS)
    fill_shards(store, model, SHARDS[2:])
    with pytest.raises(BuildError, match=r"'v1-2' cannot serve, 14 of 16 shards are filled .*: fill the others first: h0, h1"):
        builds.switch(TILLS, build.build)
    fill_shards(store, model)
    with pytest.raises(BuildError, match=r"16 of 16 shards are filled .*: publish them first"):
        builds.switch(TILLS, build.build)
    publish_shards(model)
    assert builds.switch(TILLS, build.build).state == "serving"


def test_the_first_build_of_all_that_is_filled_by_shard_does_not_serve_before_it_is_whole(tmp_path: Path) -> None:
    place = str(tmp_path)
    assert [Builds(place).beside(TILLS).build for _ in range(3)] == ["v1-2"] * 3
    serving = Builds(place).serving(TILLS)
    assert (serving and serving.build, ServingModel(place, TILLS).row_count()) == ("v1", 0)


def test_rows_that_events_of_several_shards_left_are_refused_and_not_written(tmp_path: Path) -> None:
    warehouse = log(tmp_path / "w", 100)
    model = ReadModel(str(tmp_path / "m"), CLERKS)
    with open_store(warehouse) as store:
        fill_shards(store, model, SHARDS[:8])
        fill_shards(store, model, SHARDS[8:])
    with pytest.raises(DeclarationError, match=r"by_stream is True, but events of several streams touch the row {'till': 'Ada'}"):
        publish_shards(model)
    assert (model.checkpoint(), model.row_count()) == (0, 0)


def test_an_event_that_cannot_be_applied_leaves_the_other_shards_as_they_are(tmp_path: Path) -> None:
    store, model = history(50), ReadModel(str(tmp_path), TILLS)
    store.append("till-7", [Event("Put", {"cents": 666}, schema_version=2)])           # its hash begins with 1
    others = [shard for shard in SHARDS if shard != "h1"]
    assert fill_shards(store, model, others).left == ("h1",)
    with pytest.raises(ApplyError, match="a cursed amount"):
        fill_shards(store, model, ["h1"])
    assert (model.checkpoint(), model.delta_version()) == (0, 1)


@pytest.mark.parametrize("shards", [["h"], ["h3f"], ["h0", "x"]])
def test_what_is_none_of_the_shards_is_refused_with_the_remedy(tmp_path: Path, shards: list[str]) -> None:
    with pytest.raises(ValueError, match=r"give some of h0, h1, .* hf"):
        fill_shards(history(5), ReadModel(str(tmp_path), TILLS), shards)


def test_what_runners_refuse_is_refused(tmp_path: Path) -> None:
    store, model = history(9), ReadModel(str(tmp_path), TILLS)
    with pytest.raises(DeclarationError, match="by_stream is not said"):
        fill_shards(store, ReadModel(str(tmp_path), replace(TILLS, by_stream=False)))
    fill_shards(store, model, SHARDS[3:])
    with pytest.raises(CheckpointBeyondHeadError, match="rebuild"):
        fill_shards(history(8), model)
    model.pause("a look at it")
    with pytest.raises(PausedError):
        fill_shards(store, model)


def test_a_part_of_a_shard_is_folded_alone() -> None:
    store = history(200)
    everything = {row["till"]: row for row in expected(store, TILLS)}
    seen = 0
    for digit in "0123456789abcdef":
        share = fold_shards(store, MemoryModel(TILLS), [f"h6{digit}"], 0, 200)
        assert share.rows.to_pylist() == [everything[till] for till in share.rows["till"].to_pylist()]
        seen += share.events
    assert seen == fold_shards(store, MemoryModel(TILLS), ["h6"], 0, 200).events > 0


@pytest.mark.parametrize("executor", [Serial(), Processes(2)])
def test_tasks_of_an_executor_fill_parts_of_a_shard(tmp_path: Path, executor: Executor) -> None:
    warehouse, model = log(tmp_path / "w", 400), ReadModel(str(tmp_path / "m"), TILLS)
    with open_store(warehouse) as store:
        for shards in (SHARDS[9:], SHARDS[:9]):
            fill_shards(store, model, shards, warehouse=warehouse, executor=executor)
        publish_shards(model)
        assert rows(model) == expected(store, TILLS)


class Counting:
    """An executor in this thread, which remembers what shards each task was about."""

    def __init__(self) -> None:
        self.seen = list[tuple[str, ...]]()

    @property
    def tasks(self) -> int:
        return 3

    def map(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        self.seen += [task.shards for task in tasks]
        return map(work, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("name", sorted(PROJECTIONS))
def test_the_parts_of_a_shard_are_dealt_out_where_python_takes_the_time(tmp_path: Path, name: str) -> None:
    warehouse, executor = log(tmp_path / "w", 60), Counting()
    with open_store(warehouse) as store:
        fill_build(store, warehouse, PROJECTIONS[name], ["h3"], executor=executor)
    parts = sorted(shard for shards in executor.seen for shard in shards)
    assert (len(executor.seen), parts) == ((3, [f"h3{digit:x}" for digit in range(16)]) if PROJECTIONS[name].form.engine == "python" else (0, []))


def test_a_build_is_filled_by_calls_that_know_nothing_of_each_other(tmp_path: Path) -> None:
    store, place = history(50), str(tmp_path)
    rebuild(store, place, TILLS)
    builds = {fill_build(store, place, TILLS, [shard])[0].build for shard in SHARDS}
    assert builds == {rebuild(store, place, TILLS).build.build} == {"v1-2"}
    assert rows(ReadModel.under(place, TILLS)) == expected(store, TILLS)


def test_whoever_would_fill_a_build_that_is_being_rebuilt_is_told_by_whom(tmp_path: Path) -> None:
    store, place = history(50), str(tmp_path)
    with Leases(place).held("tills"), pytest.raises(UnderWayError):
        fill_build(store, place, TILLS, ["h0"])
    fill_build(store, place, TILLS, ["h0"])
    with Leases(place).held("tills"):              # who publishes
        fill_build(store, place, TILLS, ["h1"])
    with pytest.raises(BuildError, match="2 of 16 shards are filled"):
        make_build(store, place, TILLS)


def raised(error: Exception) -> None:
    raise error


CHILD = """
import sys
sys.path[:0] = [{root!r}]
from projections import ReadModel, fill_shards
from store import open_store
from tests.projections.tills import TILLS
with open_store({warehouse!r}) as store:
    for shard in sys.argv[1:]:
        fill_shards(store, ReadModel({place!r}, TILLS), [shard])
        print(shard, flush=True)
"""


def test_processes_side_by_side_lose_nothing_to_each_other_also_when_killed(tmp_path: Path) -> None:
    warehouse, place, script = log(tmp_path / "w", 400), str(tmp_path / "m"), tmp_path / "child.py"
    script.write_text(CHILD.format(root=str(Path.cwd()), warehouse=warehouse, place=place))

    def start(shards: Sequence[str]) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, str(script), *shards], stdout=subprocess.PIPE, text=True)

    doomed = start(SHARDS[:8])
    assert doomed.stdout is not None
    doomed.stdout.readline()
    doomed.send_signal(signal.SIGKILL)
    doomed.communicate(timeout=60)
    assert [child.wait(timeout=120) for child in [start(SHARDS[:9]), start(SHARDS[7:]), start(SHARDS[::-1])]] == [0, 0, 0]
    model = ReadModel(place, TILLS)
    with open_store(warehouse) as store:
        assert publish_shards(model) == model.row_count()
        assert (model.checkpoint(), rows(model)) == (400, expected(store, TILLS))
