"""A runner is killed at every step by which it changes the disk, or loses power there: laws 7 and 8 hold afterwards, for everybody."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from projections import DeadLetters, MemoryModel, Model, ServingModel, catch_up, status
from tests.projections.crash import BEFORE, EVENTS, WORKS, model_at, parking, sums, the_log
from tests.store.delta.crash import Order
from tests.store.delta.victims import Told, Victims, explained, memory


class State(NamedTuple):
    """What everybody sees of a read model."""

    checkpoint: int
    rows: list[dict[str, Any]]
    parked: list[int]


@pytest.fixture(scope="module")
def victims() -> Iterator[Victims]:
    with Victims("tests.projections.crash") as victims:
        yield victims


@pytest.fixture
def folder() -> Iterator[Path]:
    with memory() as folder:
        yield folder


def seen(model: Model, letters: DeadLetters) -> State:
    return State(model.checkpoint(), model.rows().to_pylist(), letters.of(model)["position"].to_pylist())


def state_at(warehouse: Path) -> State:
    """By a process that opens it now; other readers agree."""
    model = model_at(str(warehouse))
    state = seen(model, DeadLetters(str(warehouse)))
    assert pl.read_delta(model.uri).sort("account", "number").to_dicts() == state.rows
    return state


def made(folder: Path, until: int) -> Path:
    """A warehouse whose read model has come so far, batch by batch."""
    catch_up(the_log(), model_at(str(folder)), batch_events=5, until=until, failing=parking(str(folder)))
    return folder


@pytest.fixture(scope="module")
def folds() -> dict[int, State]:
    """What the read model is at each checkpoint, by the reference."""
    states = {}
    with memory() as folder:
        model = MemoryModel(sums())
        for until in range(1, EVENTS + 1):
            catch_up(the_log(), model, until=until, failing=parking(str(folder)))
            rows = model.rows().sort_by([("account", "ascending"), ("number", "ascending")]).to_pylist()
            states[until] = State(until, rows, DeadLetters(str(folder)).of(model)["position"].to_pylist())
    return states


def steps(victims: Victims, template: Path, folder: Path, work: str, act: str) -> Iterator[tuple[Path, Told]]:
    """What is left after a death at each step of the work, one after the other, until it is over before the step."""
    for step in itertools.count():
        warehouse = Path(shutil.copytree(template, folder / str(step)))
        told = victims.run(Order(work, str(warehouse), step, act))
        if told.ended == 0:
            assert step > 10
            return
        with explained(told):
            yield warehouse, told
        shutil.rmtree(warehouse)


@pytest.mark.parametrize(("work", "act"), [("caught_up", "kill"), ("caught_up", "lose_power"), ("filled", "kill")])
def test_a_runner_that_dies_at_any_step_repeats_and_loses_nothing(
    victims: Victims, folder: Path, folds: dict[int, State], work: str, act: str
) -> None:
    reached = set()
    for warehouse, _ in steps(victims, made(folder / "template", BEFORE), folder, work, act):
        left = state_at(warehouse)
        assert left == folds[left.checkpoint]
        reached.add(left.checkpoint)
        WORKS[work](str(warehouse))
        assert state_at(warehouse) == folds[EVENTS]
    assert {BEFORE, EVENTS} <= reached


def test_upkeep_that_dies_at_any_step_changes_no_row(victims: Victims, folder: Path, folds: dict[int, State]) -> None:
    for warehouse, _ in steps(victims, made(folder / "template", EVENTS), folder, "maintained", "lose_power"):
        assert state_at(warehouse) == folds[EVENTS]
        WORKS["maintained"](str(warehouse))
        assert state_at(warehouse) == folds[EVENTS]


def test_a_retry_that_dies_at_any_step_applies_nothing_twice(victims: Victims, folder: Path, folds: dict[int, State]) -> None:
    template = made(folder / "template", EVENTS)
    WORKS["retried"](str(shutil.copytree(template, folder / "done")))
    before, after = folds[EVENTS], state_at(folder / "done")
    assert len(after.rows) > len(before.rows)
    assert after.parked == []
    for warehouse, _ in steps(victims, template, folder, "retried", "lose_power"):
        assert state_at(warehouse) in (before, after)
        WORKS["retried"](str(warehouse))
        assert state_at(warehouse) == after


def test_a_rebuild_that_dies_at_any_step_leaves_what_serves_until_it_is_finished(
    victims: Victims, folder: Path, folds: dict[int, State]
) -> None:
    switched = set()
    for warehouse, _ in steps(victims, made(folder / "template", EVENTS), folder, "rebuilt", "lose_power"):
        serving = status(the_log(), str(warehouse), sums()).serving
        assert serving is not None
        switched.add(serving.build)
        if serving.build == "v1":
            assert ServingModel(str(warehouse), sums()).rows().to_pylist() == folds[EVENTS].rows
        WORKS["rebuilt"](str(warehouse))
        new = ServingModel(str(warehouse), sums(version=2))
        assert (new.checkpoint(), new.rows().to_pylist()) == (14, folds[14].rows)
    assert "v1" in switched
