"""Processes that sleep while the log moves on, is cleaned and vacuumed: awake, they lose nothing and harm nobody."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import ANY, NO_STREAM, Event, WrongExpectedVersionError, open_store
from store.delta import log, log_cleanup
from store.delta.delta_store import DeltaEventStore
from store.storage import turnstile
from tests.store.delta.crash import WORKS, Order, event
from tests.store.delta.victims import Told, Victims, assert_dense, copied, explained, fresh, rows_by_deltalake, rows_of
from tests.store.facts import table


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sleeper may hold the turn, and every pause is a long one."""
    monkeypatch.setattr(turnstile, "PATIENCE_S", 0.01)
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)


# What passes the sleeper by -----------------------------------------------------------------------------------------


def move_on(store: DeltaEventStore, warehouse: Path) -> None:
    """Three commits, so that every place that the sleeper can be about to take is taken."""
    for number in range(3):
        store.append(f"passer-{number}", [Event("Happened", {})])
    store.compact()
    store.checkpoint()


def pass_by(store: DeltaEventStore, warehouse: Path) -> int:
    """The same, and everything goes that the checkpoint makes dispensable; the checkpoint's version."""
    move_on(store, warehouse)
    version = store.checkpoint().delta_version
    store.clean_log(0)
    store.vacuum(0)
    return version


def cleanable(warehouse: Path, version: int) -> list[Path]:
    return [path for path in (warehouse / "events" / "_delta_log").glob("[0-9]*.json") if int(path.stem) < version]


# Writers ------------------------------------------------------------------------------------------------------------


WRITING = [work for work in WORKS if work != "create"]


@pytest.mark.parametrize("work", WRITING)
def test_sleeper_that_others_overtake_loses_nothing(victims: Victims, template: Path, folder: Path, work: str) -> None:
    for warehouse, told in asleep_at_every_step(victims, template, folder, work, move_on):
        with explained(told):
            assert_awake_in_peace(told, warehouse, work)


@pytest.mark.parametrize("work", WRITING)
def test_sleeper_that_clean_up_and_vacuum_pass_loses_nothing(victims: Victims, template: Path, folder: Path, work: str) -> None:
    checkpoints: list[int] = []
    for warehouse, told in asleep_at_every_step(victims, template, folder, work, lambda *who: checkpoints.append(pass_by(*who))):
        with explained(told):
            assert_awake_in_peace(told, warehouse, work)
            if work != "vacuum":                   # its commits hold nothing: one that lies below the checkpoint harms nobody
                assert cleanable(warehouse, checkpoints[-1]) == [], "a commit lies invisible below the checkpoint"


def test_sleeper_and_who_took_its_version_meanwhile_are_not_both_answered(victims: Victims, template: Path, folder: Path) -> None:
    """Law 3, across a clean-up."""
    taken: list[bool] = []

    def take(store: DeltaEventStore, warehouse: Path) -> None:
        try:
            store.append("new", [Event("Happened", {})], NO_STREAM)
            taken.append(True)
        except WrongExpectedVersionError:
            taken.append(False)
        pass_by(store, warehouse)

    for warehouse, told in asleep_at_every_step(victims, template, folder, "append_many", take):
        with explained(told), open_store(str(warehouse)) as store:
            mine = str(event("many-3").event_id)
            there = store.read_stream("new")["event_id"].to_pylist()
            assert (mine in there) is not taken[-1]
            assert [failure.kind for failure in told.errors] == ["WrongExpectedVersionError"] * taken[-1]
            assert len(told.answers) == 1 - taken[-1]
            assert len(there) == 1
    assert set(taken) == {True, False}


def asleep_at_every_step(
    victims: Victims, template: Path, folder: Path, work: str, meanwhile: Callable[[DeltaEventStore, Path], object]
) -> Iterator[tuple[Path, Told]]:
    """Step by step: the warehouse after the sleeper's end, and what the sleeper told."""
    copies = fresh(folder)
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            with victims.stopped(Order(work, str(warehouse), step, "stop")) as told:
                if not told.steps:
                    assert step > 0
                    return
                meanwhile(neighbour, warehouse)
            with explained(told):
                assert neighbour.append("after", [Event("Happened", {})], NO_STREAM).version == 1
                assert_dense(rows_of(neighbour))
        yield warehouse, told


def assert_awake_in_peace(told: Told, warehouse: Path, work: str) -> None:
    """It was answered as if nothing had been, and what it was answered is so."""
    assert told.errors == []
    with open_store(str(warehouse)) as store:
        rows = rows_of(store)
        assert_dense(rows)
        assert rows_by_deltalake(warehouse) == rows
        assert list(WORKS[work](store)) == told.answers
        assert rows_of(store) == rows
        store.compact()
        store.checkpoint()
        assert rows_of(store) == rows
    with open_store(str(warehouse)) as store:
        assert rows_of(store) == rows


# Handles that were idle while the log was cleaned past them ------------------------------------------------------


@pytest.fixture
def idle(template: Path, folder: Path) -> Iterator[DeltaEventStore]:
    """A handle whose next commit has been cleaned away: a checkpoint holds it."""
    warehouse = copied(template, fresh(folder))
    with open_store(str(warehouse)) as idle, open_store(str(warehouse)) as other:
        assert idle.head() == other.head() == 72
        pass_by(other, warehouse)
        yield idle


def test_idle_handle_sees_the_head(idle: DeltaEventStore) -> None:
    assert idle.head() == 75


def test_idle_handle_reads_everything(idle: DeltaEventStore) -> None:
    assert [row["position"] for row in rows_of(idle)] == list(range(1, 76))


def test_idle_handle_reads_a_stream_that_is_new_to_it(idle: DeltaEventStore) -> None:
    assert idle.read_stream("passer-1")["position"].to_pylist() == [74]


def test_idle_handle_knows_versions_that_it_has_not_seen(idle: DeltaEventStore) -> None:
    assert idle.stream_version("passer-2") == 1


def test_idle_handle_answers_sql_from_the_whole_log(idle: DeltaEventStore) -> None:
    assert idle.sql("select max(position) from events").fetchall() == [(75,)]


def test_idle_handle_appends_behind_what_it_has_not_seen(idle: DeltaEventStore) -> None:
    assert idle.append("a-1", [Event("Happened", {})], ANY).position == 76
    with open_store(str(Path(idle._objects.uri).parent)) as other:
        assert other.head() == 76


def test_idle_handle_is_refused_a_version_that_has_passed(idle: DeltaEventStore) -> None:
    with pytest.raises(WrongExpectedVersionError):
        idle.append("passer-1", [Event("Happened", {})], NO_STREAM)


def test_idle_handle_merges_only_what_is_live(idle: DeltaEventStore) -> None:
    idle.compact()
    with open_store(str(Path(idle._objects.uri).parent)) as other:
        assert_dense(rows_of(other))
        assert other.head() == idle.head() == 75


def test_idle_handle_checkpoints_no_older_state(idle: DeltaEventStore) -> None:
    idle.checkpoint()
    with open_store(str(Path(idle._objects.uri).parent)) as other:
        assert other.head() == 75


# Reads under way ------------------------------------------------------------------------------------------------------


def test_read_under_way_goes_on_when_its_files_are_vacuumed(folder: Path) -> None:
    """It gives the log as it was at the call, from the files that hold it now."""
    with open_store(str(folder), create=True) as writer, open_store(str(folder)) as reader:
        for _ in range(4):
            writer.append_table(table(40_000))
        batches = reader.read_all()
        positions = batches.read_next_batch()["position"].to_pylist()
        pass_by(writer, folder)
        for batch in batches:
            positions += batch["position"].to_pylist()
    assert positions == list(range(1, 160_001))
