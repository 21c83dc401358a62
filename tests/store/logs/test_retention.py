"""Rules stand in one log: where a warehouse has several they are refused, whenever it was split, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import CrossLogError, Event, InvalidEventError, Logs, LogSealedError, Retention, open_logs, open_store
from tests.store.facts import everything

SAID: dict[str, Any] = {"by": "ada", "why": "the customer asked for it"}
SAYINGS: dict[str, Callable[[Retention], object]] = {
    "keep": lambda retention: retention.keep("a-1", max_count=1, **SAID),
    "truncate": lambda retention: retention.truncate("a-1", 2, **SAID),
    "delete": lambda retention: retention.delete("a-1", **SAID),
    "tombstone": lambda retention: retention.tombstone("a-1", **SAID),
    "close": lambda retention: retention.close("a-1", **SAID),
}
sayings = pytest.mark.parametrize("say", SAYINGS.values(), ids=SAYINGS)


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with open_logs(tmp_path / "warehouse", create=True) as store:
        store.append("a-1", [Event("Happened", {"number": number}) for number in range(3)])
        yield store


def splitting(store: Logs, monkeypatch: pytest.MonkeyPatch, log: Any, split: Callable[[], object]) -> None:
    """Between the look at the warehouse and the append another process splits it."""
    check, ruled = log._log.check, log._log

    def then_split() -> None:
        check()
        if store.logs() == ["h"]:
            split()

    monkeypatch.setattr(log, "_log", ruled._replace(check=then_split))


@sayings
def test_a_warehouse_of_several_logs_takes_no_rules(store: Logs, say: Callable[[Retention], object]) -> None:
    store.split(into=4)
    before = everything(store)
    for retention in (store.retention, *(log.retention for log in store.each())):
        with pytest.raises(CrossLogError, match="retention"):
            say(retention)
    assert everything(store) == before
    assert store.retention.rules() == {}


@sayings
def test_a_split_between_the_look_and_the_append_is_not_overlooked(
    store: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, say: Callable[[Retention], object]
) -> None:
    """What would be said in another log, where nobody looks for it, is not said, and whoever said it hears so."""
    before = everything(store)
    with open_logs(tmp_path / "warehouse") as other:
        splitting(other, monkeypatch, store.retention, lambda: other.split(into=4))
        with pytest.raises(CrossLogError, match="retention"):
            say(store.retention)
    assert len(store.logs()) == 4
    assert everything(store) == before
    assert store.read_stream("$retention").num_rows == store.read_stream("$audit").num_rows == 0


def test_who_opened_the_log_alone_hears_that_it_has_ended(store: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path / "warehouse") as alone:
        splitting(store, monkeypatch, alone.retention, lambda: store.split(into=4))
        with pytest.raises(LogSealedError):
            alone.retention.keep("a-1", max_count=1, **SAID)


@sayings
def test_a_warehouse_with_rules_is_not_split(store: Logs, say: Callable[[Retention], object]) -> None:
    say(store.retention)
    before = everything(store)
    with pytest.raises(InvalidEventError, match="has rules of retention"):
        store.split(into=4)
    assert store.logs() == ["h"]
    assert everything(store) == before


def test_of_several_logs_nothing_is_hidden_and_so_nothing_removed_or_archived(store: Logs) -> None:
    store.split(into=4)
    assert store.retention.remove(**SAID).events == store.retention.archive().events == 0
    held = store.retention.of("a-1")
    assert (held.version, held.hidden) == (3, 0)
