"""`plan_rebuild`: what a rebuild would be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from projections import ApplyError, Builds, Projection, ReadModel, catch_up, plan_rebuild, rebuild
from store import Event, MemoryEventStore


def files(place: Path) -> list[Path]:
    return sorted(path for path in place.rglob("*") if path.is_file())


def test_it_counts_the_events_that_would_be_read_and_changes_nothing(accounts: Projection, store: MemoryEventStore, tmp_path: Path) -> None:
    rebuild(store, str(tmp_path), accounts)
    before = files(tmp_path)
    plan = plan_rebuild(store, str(tmp_path), accounts)
    assert (plan.after, plan.until, plan.events, plan.unfinished) == (0, 9, 8, None)
    assert plan.data_bytes == store.size().data_bytes > 0
    assert plan.seconds > 0
    assert files(tmp_path) == before
    assert plan_rebuild(store, str(tmp_path), replace(accounts, types=("Deposited",))).events == 5


def test_of_a_build_that_was_begun_only_the_rest_is_counted(accounts: Projection, store: MemoryEventStore, tmp_path: Path) -> None:
    rebuild(store, str(tmp_path), accounts)
    builds = Builds(str(tmp_path))
    begun = builds.beside(accounts)
    catch_up(store, ReadModel(builds.uri("accounts", begun.build), accounts), until=6)
    plan = plan_rebuild(store, str(tmp_path), accounts)
    assert (plan.unfinished, plan.after, plan.events) == (begun, 6, 2)


def test_a_rebuild_that_would_fail_is_known_before_it_is_begun(accounts: Projection, store: MemoryEventStore, tmp_path: Path) -> None:
    store.append("account-1", [Event("Deposited", {"amount": "none"})])
    with pytest.raises(ApplyError):
        plan_rebuild(store, str(tmp_path), accounts)
    assert files(tmp_path) == []


def test_an_empty_log_takes_no_time(accounts: Projection, tmp_path: Path) -> None:
    plan = plan_rebuild(MemoryEventStore(), str(tmp_path), accounts)
    assert (plan.events, plan.seconds) == (0, 0.0)
