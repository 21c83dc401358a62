from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from pipelines.automation.lag_sensor import LOOK_EVERY_S, Hint, lag_sensor
from pipelines.automation.lag_watch import LagWatch
from pipelines.warehouse import Warehouse
from projections import BUILT_IN, SHARDS, Builds, ReadModel, ServingModel, catch_up, fill_shards, rebuild
from store import open_store
from tests.pipelines.ledger import BALANCES, NAMES, OWNERS, deposit, domain, loaded


@dataclass
class Daemon:
    """Ticks the sensor as Dagster's daemon does, with an instance and a clock of its own."""

    warehouse: str
    instance: dg.DagsterInstance
    now_s: float = field(default_factory=time.time)
    cursor: str | None = None
    told: str = ""
    defs: dg.Definitions = field(init=False)

    def __post_init__(self) -> None:
        self.defs = loaded(self.warehouse)
        self.watch = LagWatch(Warehouse(uri=self.warehouse), (*domain.projections, *BUILT_IN))
        job = dg.define_asset_job("catch_up", selection=sorted(NAMES))
        self.sensor = lag_sensor(self.watch, job, 5, lambda: self.now_s)

    def tick(self) -> list[set[str]]:
        """What each requested run is to hold; `told`: why there are none."""
        self.now_s += 5
        context = dg.build_sensor_context(self.instance, self.cursor, definitions=self.defs)
        data = self.sensor.evaluate_tick(context)
        self.cursor, self.told = data.cursor if data.cursor is not None else self.cursor, data.skip_message or ""
        return [{key.to_user_string() for key in request.asset_selection or ()} for request in data.run_requests or ()]

    def run(self, names: set[str]) -> bool:
        job = self.defs.resolve_job_def("catch_up").get_subset(asset_selection={dg.AssetKey(name) for name in names})
        return job.execute_in_process(instance=self.instance, raise_on_error=False).success

    def begin(self, names: set[str], status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """A run that another process is at."""
        job = self.defs.resolve_job_def("catch_up").get_subset(asset_selection={dg.AssetKey(name) for name in names})
        return self.instance.create_run_for_job(job, status=status, asset_selection=frozenset(dg.AssetKey(name) for name in names))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    deposit(tmp_path, range(3))
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(str(tmp_path), instance)
        yield daemon
        daemon.watch.close()


def test_all_that_lag_are_requested_in_one_run_and_nothing_when_they_are_there(daemon: Daemon) -> None:
    assert daemon.tick() == [NAMES]
    assert daemon.run(NAMES)
    assert (daemon.tick(), daemon.told) == ([], "all are at position 3, the head")


def test_a_commit_that_lands_during_a_run_is_seen_by_the_next_tick(daemon: Daemon) -> None:
    [names] = daemon.tick()
    run = daemon.begin(names, dg.DagsterRunStatus.STARTED)
    with open_store(daemon.warehouse) as store:    # what that run does, up to a head of before the commit
        for model in (ServingModel(daemon.warehouse, projection) for projection in (*domain.projections, *BUILT_IN)):
            catch_up(store, model)
    deposit(daemon.warehouse, [7])
    assert daemon.tick() == []
    daemon.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, run.job_name), run.run_id)
    assert daemon.tick() == [NAMES]


def test_what_is_under_way_is_not_requested_again_and_the_rest_is(daemon: Daemon) -> None:
    for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED):
        run = daemon.begin({"balances"}, status)
        assert daemon.tick() == [NAMES - {"balances"}]
        daemon.instance.delete_run(run.run_id)
    daemon.begin(NAMES, dg.DagsterRunStatus.STARTING)
    assert (daemon.tick(), daemon.told.count("a run is under way")) == ([], 4)


def test_a_run_of_the_whole_job_holds_them_all(daemon: Daemon) -> None:
    daemon.instance.create_run_for_job(daemon.defs.resolve_job_def("catch_up"), status=dg.DagsterRunStatus.STARTING)
    assert daemon.tick() == []


def failed(daemon: Daemon, names: set[str]) -> float:
    """A run of these, just now."""
    daemon.instance.report_run_failed(daemon.begin(names, dg.DagsterRunStatus.STARTED))
    daemon.now_s = daemon.instance.get_run_records(limit=1)[0].end_time or 0.0
    return daemon.now_s


def test_a_failed_run_is_tried_again_ever_later(daemon: Daemon) -> None:
    daemon.run(NAMES - {"balances"})
    waits = []
    for _ in range(3):
        ended_s = failed(daemon, {"balances"})
        while not (requested := daemon.tick()):
            assert "balances: its runs failed" in daemon.told
        assert requested == [{"balances"}]
        waits.append(daemon.now_s - ended_s)
    assert waits == [10, 20, 40]


def test_those_that_failed_are_tried_again_each_alone(daemon: Daemon) -> None:
    failed(daemon, {"balances", "owners"})
    assert daemon.tick() == [{"streams", "event_types"}]
    assert daemon.tick() == [{"streams", "event_types"}, {"balances"}, {"owners"}]


def test_after_a_success_failures_are_forgotten(daemon: Daemon) -> None:
    failed(daemon, {"balances"})
    assert daemon.run(NAMES)
    deposit(daemon.warehouse, [5])
    assert daemon.tick() == [NAMES]


def test_one_that_is_halted_is_told_and_not_requested_until_a_run_gets_on(daemon: Daemon) -> None:
    deposit(daemon.warehouse, [666])
    assert not daemon.run(NAMES)
    daemon.now_s += 10**9
    for _ in range(2):
        assert daemon.tick() == []
        assert "owners: halted: projection 'owners' failed on the event at position 4" in daemon.told


def test_one_that_is_paused_or_needs_rebuild_is_told_and_not_requested(daemon: Daemon) -> None:
    daemon.run(NAMES)
    ServingModel(daemon.warehouse, BALANCES).now().pause("a look at it")
    model = ReadModel.under(daemon.warehouse, OWNERS)
    turn = model.look()
    turn.mark({**turn.marks, "alluvium.fingerprint": "0123456789abcdef"})
    deposit(daemon.warehouse, [5])
    assert daemon.tick() == [{"streams", "event_types"}]
    daemon.run({"streams", "event_types"})
    assert daemon.tick() == []
    assert "balances" in daemon.told
    assert "a look at it" in daemon.told
    assert "owners: projection 'owners' needs rebuild" in daemon.told


def test_a_first_build_that_is_filled_by_shard_is_left_to_whoever_fills_it(daemon: Daemon) -> None:
    builds = Builds(daemon.warehouse)
    with open_store(daemon.warehouse) as store:
        fill_shards(store, ReadModel(builds.uri("balances", builds.beside(BALANCES).build), BALANCES), SHARDS[:8])
        assert daemon.tick() == [NAMES - {"balances"}]
        fill_shards(store, ReadModel(builds.uri("balances", builds.beside(BALANCES).build), BALANCES))
        rebuild(store, daemon.warehouse, BALANCES)
    daemon.run(NAMES - {"balances"})
    assert (daemon.tick(), daemon.told) == ([], "all are at position 3, the head")


def test_a_torn_read_model_is_told_and_the_others_go_on(daemon: Daemon) -> None:
    daemon.run(NAMES)
    Path(daemon.warehouse, "projections", "balances", "v1", "_delta_log", f"{1:020d}.json").write_bytes(b"")
    deposit(daemon.warehouse, [5])
    assert daemon.tick() == [NAMES - {"balances"}]


def test_a_warehouse_without_a_log_is_skipped_and_found_when_it_is_made(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(str(tmp_path / "later"), instance)
        assert daemon.tick() == []
        assert daemon.told.startswith("there is no log to follow")
        deposit(daemon.warehouse, [1])
        assert daemon.tick() == [NAMES]


@pytest.mark.parametrize("cursor", ["", "5", "{", '{"head": 3}', '{"head": "x", "looked_s": 1}'])
def test_a_cursor_that_says_nothing_hides_nothing(daemon: Daemon, cursor: str) -> None:
    daemon.cursor = cursor
    assert daemon.tick() == [NAMES]


def test_a_reset_is_seen_though_the_head_is_the_same(daemon: Daemon) -> None:
    daemon.run(NAMES)
    assert daemon.tick() == []
    ServingModel(daemon.warehouse, BALANCES).now().reset()
    daemon.now_s += LOOK_EVERY_S
    assert daemon.tick() == [{"balances"}]
    assert daemon.tick() == [{"balances"}], "the hint is not taken before all are there again"


def test_the_hint_outlives_its_process(daemon: Daemon) -> None:
    assert Hint.of(Hint(3, 1.5).cursor()) == Hint(3, 1.5)


@contextmanager
def counting() -> Iterator[list[str]]:
    """Files that are opened, or looked for, inside. (An audit hook is there for good, so it is told when to stop.)"""
    opened, on = list[str](), [True]
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if on[0] and event == "open" else None)
    try:
        yield opened
    finally:
        on[0] = False


def test_a_tick_that_finds_nothing_new_looks_for_one_file_and_a_full_look_for_four_a_read_model(daemon: Daemon) -> None:
    daemon.run(NAMES)
    daemon.tick()
    with counting() as opened:
        assert daemon.tick() == []
    assert [name for name in opened if name.endswith(".json")] == [f"{3 + 1:020d}.json"]
    assert len(opened) == 1
    with counting() as opened:
        daemon.watch.look()
    assert len(opened) <= 1 + 4 * len(NAMES)
