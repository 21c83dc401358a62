"""Splitting a log while all go on: nothing is lost or doubled, no version and no place among all changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from store import ANY, Append, DuplicateEventError, Event, Logs, WrongExpectedVersionError, open_logs, open_store, verify
from tests.store.facts import at_once, everything, fact, facts, table


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Logs]:
    with open_logs(tmp_path / "warehouse", create=True) as store:
        yield store


def test_one_log_decides_all_that_several_cannot(whole: Logs) -> None:
    whole.append_many([Append(f"a-{number}", facts(1)) for number in range(12)])
    assert whole.append_table(table(3)).position == whole.head() == 15
    assert (whole.logs(), whole.vector(15)) == (["h"], {"h": 15})


def test_versions_and_places_go_on_where_they_were(whole: Logs) -> None:
    for number in range(12):
        whole.append(f"a-{number % 4}", [fact(number)])
    before = everything(whole)
    assert whole.split("h", 4) == ["h0-3", "h4-7", "h8-b", "hc-f"]
    assert everything(whole) == before
    assert [whole.append(f"a-{number}", [fact()], 3).version for number in range(4)] == [4] * 4
    assert everything(whole)[:12] == before
    assert [row["version"] for row in whole.read_stream("a-1").to_pylist()] == [1, 2, 3, 4]
    assert [row["version"] for row in whole.read_stream("a-1", after=2, limit=1).to_pylist()] == [3]
    assert [row["version"] for row in whole.read_stream("a-1", after=3).to_pylist()] == [4]
    assert [row["version"] for row in whole.read_stream("a-1", backward=True, limit=2).to_pylist()] == [4, 3]
    with pytest.raises(WrongExpectedVersionError):
        whole.append("a-1", facts(1), 3)


@pytest.mark.parametrize("expected", [0, ANY])
def test_a_repeat_of_what_lies_before_the_split_is_one(whole: Logs, expected: Any) -> None:
    events = facts(2)
    first = whole.append("a-1", events, expected)
    whole.split("h", 2)
    assert whole.append("a-1", events, expected) == first
    whole.append("a-1", facts(1))
    assert whole.append("a-1", events, expected) == first
    with pytest.raises(DuplicateEventError):
        whole.append("a-1", [*events, fact()], expected)
    assert whole.head() == 3


def test_a_repeat_of_a_table_is_one_across_the_split(whole: Logs) -> None:
    events = table(3, event_id=[str(event.event_id) for event in facts(3)])
    first = whole.append_table(events)
    whole.split("h", 2)
    assert whole.append_table(events) == first
    assert whole.head() == 3


def test_a_split_is_repeated_by_whoever_did_not_hear_of_it(whole: Logs, tmp_path: Path) -> None:
    with open_logs(tmp_path / "warehouse") as other:
        whole.split("h", 4)
        assert other.append("a-1", facts(1)).version == 1
        assert other.logs() == whole.logs()


def test_two_who_split_at_once_split_once(whole: Logs, tmp_path: Path) -> None:
    with open_logs(tmp_path / "warehouse") as other:
        answers = at_once(2, lambda number: (whole, other)[number].split("h", (2, 4)[number]))
        assert whole.logs() == other.logs()
        assert sum(answer == whole.logs() for answer in answers) == 1


def test_parts_that_a_crash_left_before_the_split_are_no_logs(whole: Logs, tmp_path: Path) -> None:
    """They are made first, and nobody is sent there before the log says so."""
    from store.delta.log import create
    from store.storage.places import objects_at

    create(objects_at(str(tmp_path / "warehouse/logs/h0-7/events")), 0)
    whole.append("a-1", facts(1))
    assert (whole.logs(), whole.head()) == (["h"], 1)
    whole.split("h", 2)
    assert whole.append("a-1", facts(1)).version == 2


def test_what_was_split_stays_split_after_checkpoints_and_clean_up(whole: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        whole.append(f"a-{number}", facts(1))
    whole.split("h", 2)
    whole.append("a-1", facts(1))
    before = everything(whole)
    whole.maintain()
    for log in whole.each():
        for path in (Path(log.uri) / "_delta_log").glob("*.json"):
            os.utime(path, (0, 0))
    whole.clean_log()
    assert not (tmp_path / "warehouse/events/_delta_log/00000000000000000000.json").exists()
    with open_store(tmp_path / "warehouse") as again:
        assert isinstance(again, Logs)
        assert everything(again) == before
        assert again.append("a-1", facts(1)).version == 3


def test_no_event_is_recorded_before_a_time_that_was_told(tmp_path: Path) -> None:
    """Not even after a checkpoint and a clean-up, by a machine whose clock is behind."""
    hour_us = 3_600_000_000
    with open_logs(tmp_path / "warehouse", create=True, clock=lambda: 10 * hour_us) as ahead:
        ahead.split("h", 2)
        low, high = (next(f"a-{n}" for n in range(99) if ahead.log_of(f"a-{n}") == log) for log in ahead.logs())
        ahead.append(high, facts(1))
        assert ahead.head() == 1
        before = everything(ahead)
        ahead.maintain()
    with open_logs(tmp_path / "warehouse", clock=lambda: 10 * hour_us - 1_000_000) as behind:
        behind.append(low, facts(1))
        assert [row["event_id"] for row in everything(behind)][:1] == [row["event_id"] for row in before]


def test_a_time_that_a_checkpoint_rounds_is_no_promise(tmp_path: Path) -> None:
    """Who read the exact time goes on by that one."""
    time = [1_000_000_300]
    with open_logs(tmp_path / "warehouse", create=True, clock=lambda: time[0]) as exact:
        exact.split("h", 2)
        low, high = (next(f"a-{n}" for n in range(99) if exact.log_of(f"a-{n}") == log) for log in exact.logs())
        exact.append(low, facts(1))
        for log in exact.each():
            log.checkpoint()
        time[0] += 300
        exact.append(high, facts(1))
        with open_logs(tmp_path / "warehouse", clock=lambda: time[0]) as rounded:
            before = everything(rounded)
            time[0] -= 150
            exact.append(low, facts(1))
            assert everything(rounded)[:2] == before


def test_processes_go_on_through_a_split(tmp_path: Path) -> None:
    place, count = str(tmp_path / "warehouse"), 60
    with open_logs(place, create=True) as store:
        command = [sys.executable, "-m", "tests.store.logs.appender", place]
        processes = [subprocess.Popen([*command, str(name), str(count)], stdout=subprocess.PIPE, text=True) for name in range(3)]
        told: list[list[Any]] = []
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        seen = list[dict[str, Any]]()
        for log, into in (("h", 2), ("h0-7", 4)):
            while store.head() < len(seen) + 10:
                pass
            seen = everything(store)
            store.split(log, into)
        for process in processes:
            output, _ = process.communicate()
            assert process.returncode == 0
            told += map(json.loads, output.splitlines())
        rows = everything(store)
        assert rows[: len(seen)] == seen
        assert [row["position"] for row in rows] == list(range(1, 3 * count + 1))
        assert sorted([row["event_id"], row["stream_id"], row["version"]] for row in rows) == sorted(told)
        versions: dict[str, int] = {}
        for row in rows:
            assert row["version"] == versions.get(row["stream_id"], 0) + 1
            versions[row["stream_id"]] = row["version"]
    assert verify(place).sound


streams = st.sampled_from([f"a-{number}" for number in range(5)])


class Splitting(RuleBasedStateMachine):
    """Appends, splits, upkeep and new handles in any order: the order of what was seen never changes, and all of it is there."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.time = 1_000_000_000
        self.store = self.opened(create=True)
        self.seen: list[dict[str, Any]] = []
        self.versions: dict[str, int] = {}
        self.ids: set[str] = set()

    def opened(self, create: bool = False) -> Logs:
        return open_logs(self.folder.name, create, clock=lambda: self.time)

    @rule(stream_id=streams, count=st.integers(1, 3), later_us=st.sampled_from([-400, 0, 1, 700]))
    def append(self, stream_id: str, count: int, later_us: int) -> None:
        """Clocks go back now and then."""
        self.time += later_us
        events = [Event("Happened", {}) for _ in range(count)]
        version = self.versions.get(stream_id, 0)
        assert self.store.append(stream_id, events, version)[:2] == (version + 1, version + count)
        self.versions[stream_id] = version + count
        self.ids |= {str(event.event_id) for event in events}

    @rule(data=st.data(), into=st.sampled_from([2, 4]))
    def split(self, data: st.DataObject, into: int) -> None:
        if len(logs := self.store.logs()) < 6:
            self.store.split(data.draw(st.sampled_from(logs)), into)

    @rule()
    def look_after(self) -> None:
        self.store.maintain()

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = self.opened()

    @invariant()
    def what_was_seen_stays_and_all_is_there(self) -> None:
        rows = everything(self.store)
        assert rows[: len(self.seen)] == self.seen
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        assert {row["event_id"] for row in rows} == self.ids
        counted: dict[str, int] = {}
        for row in rows:
            assert row["version"] == counted.get(row["stream_id"], 0) + 1
            counted[row["stream_id"]] = row["version"]
        assert counted == self.versions
        self.seen = rows

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()


TestSplitting = Splitting.TestCase
TestSplitting.settings = settings(max_examples=12, stateful_step_count=15, suppress_health_check=list(HealthCheck))
