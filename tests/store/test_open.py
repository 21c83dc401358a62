"""A table of the warehouse as another reader sees it, while others write."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from store import Event, StorageError, delta_table, open_store


@pytest.fixture
def events(tmp_path: Path) -> Path:
    with open_store(tmp_path, create=True) as store:
        for number in range(4):
            store.append(f"a-{number}", [Event("Happened", {})])
    return tmp_path / "events"


def test_it_is_read_at_its_newest_version(events: Path) -> None:
    assert delta_table(str(events)).version() == 4


def test_a_commit_that_the_list_of_files_missed_is_looked_for_again(events: Path) -> None:
    commit = events / "_delta_log" / f"{3:020}.json"
    commit.rename(events / "aside")
    seen_later = threading.Timer(0.05, (events / "aside").rename, [commit])
    seen_later.start()
    assert delta_table(str(events)).version() == 4
    seen_later.join()


def test_one_that_is_really_gone_is_told(events: Path) -> None:
    (events / "_delta_log" / f"{3:020}.json").unlink()
    with pytest.raises(StorageError, match="gap"):
        delta_table(str(events))


def test_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        delta_table(str(tmp_path / "nothing"))
