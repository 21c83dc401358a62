"""A process is killed at every step by which it changes the disk: laws 1, 2, 4 and 5 hold afterwards, for everybody."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import pytest

from store import Event, open_store
from store.delta import log, log_cleanup
from store.delta.delta_store import DeltaEventStore
from tests.store.delta.crash import WORKS, Order
from tests.store.delta.victims import (
    Row,
    Told,
    Victims,
    assert_dense,
    copied,
    explained,
    fresh,
    outcome,
    rows_by_deltalake,
    rows_of,
)

LATER = [Event("Happened", {"later": True})]


@pytest.fixture(autouse=True)
def moments_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the victims: log files go at once, so nobody may rely on having seen the log a moment ago."""
    monkeypatch.setattr(log, "ASLEEP_S", 0.0)
    monkeypatch.setattr(log_cleanup, "YOUNGEST_S", 0.0)


@pytest.mark.parametrize("work", [work for work in WORKS if work != "create"])
def test_kill_at_any_step_loses_nothing_and_stops_nobody(victims: Victims, template: Path, folder: Path, work: str) -> None:
    copies = fresh(folder)
    whole, undisturbed = outcome(victims, copied(template, copies), work)
    step = 0
    for step in itertools.count():
        warehouse = copied(template, copies)
        with open_store(str(warehouse)) as neighbour:
            before = rows_of(neighbour)
            told = victims.run(Order(work, str(warehouse), step))
            if told.ended == 0:
                break
            with explained(told):
                assert_killed_in_peace(told, undisturbed, before, whole, neighbour, warehouse, work)
    assert step > 0
    warehouse = copied(template, copies)
    with open_store(str(warehouse)) as neighbour:
        before = rows_of(neighbour)
        told = victims.run(Order(work, str(warehouse), step - 1, "kill_after"))
        assert told.ended == -signal.SIGKILL
        with explained(told):
            assert_killed_in_peace(told, undisturbed, before, whole, neighbour, warehouse, work)


def test_kill_while_the_log_is_made_leaves_none_or_an_empty_one(victims: Victims, folder: Path) -> None:
    for step in itertools.count():
        warehouse = folder / str(step)
        told = victims.run(Order("create", str(warehouse), step))
        if told.ended == 0:
            break
        with explained(told), open_store(str(warehouse), create=True) as store:
            assert store.head() == 0
            assert store.append("a", LATER).position == 1
            assert len(rows_by_deltalake(warehouse)) == 1
    assert step > 5


def assert_killed_in_peace(
    told: Told, undisturbed: Told, before: list[Row], whole: list[Row], neighbour: DeltaEventStore, warehouse: Path, work: str
) -> None:
    """`neighbour` was open before and is still."""
    assert told.answers == undisturbed.answers[: len(told.answers)]
    with open_store(str(warehouse)) as store:
        rows = rows_of(store)
        # All that was acknowledged, and beyond it one append at most, whole.
        heads = [len(before), *(answer[0] for answer in undisturbed.answers)]
        assert len(rows) in heads[len(told.answers) : len(told.answers) + 2]
        assert rows == whole[: len(rows)]
        assert_dense(rows)
        assert rows_of(neighbour) == rows
        assert rows_by_deltalake(warehouse) == rows
        # A repeat writes what is missing and answers as the first time.
        assert list(WORKS[work](neighbour)) == undisturbed.answers
        assert rows_of(store) == whole
        # Upkeep finds nothing in its way, and the log goes on.
        store.compact()
        store.checkpoint()
        assert neighbour.append("later", LATER, 0).position == len(whole) + 1
    with open_store(str(warehouse)) as store:
        assert rows_of(store)[:-1] == whole
        assert rows_of(neighbour) == rows_of(store) == rows_by_deltalake(warehouse)
