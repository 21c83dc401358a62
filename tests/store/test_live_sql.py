"""Views that follow a log by themselves see one state of it, whatever is committed while they look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from store import Event, live_log, open_store
from store.delta.delta_store import DeltaEventStore


class Watched(AbstractFileSystem):  # type: ignore[misc]
    """A directory, in which something happens whenever DuckDB has looked for files by a pattern."""

    protocol = "watched"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self._directory = LocalFileSystem()
        self.patterns: list[str] = []
        self.then: Callable[[int], object] = lambda _: None

    def glob(self, path: str, **_: Any) -> list[str]:
        found = [f"watched://{name}" for name in self._directory.glob(_plain(path))]
        self.patterns.append(path.rpartition("/")[2])
        self.then(len(self.patterns))
        return found

    def info(self, path: str, **_: Any) -> Any:
        return self._directory.info(_plain(path))

    def exists(self, path: str, **_: Any) -> bool:
        return bool(self._directory.exists(_plain(path)))

    def modified(self, path: str) -> Any:
        return self._directory.modified(_plain(path))

    def isfile(self, path: str) -> bool:
        return bool(self._directory.isfile(_plain(path)))

    def isdir(self, path: str) -> bool:
        return bool(self._directory.isdir(_plain(path)))

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        return self._directory.open(_plain(path), mode)


def _plain(path: str) -> str:
    return path.removeprefix("watched://")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeltaEventStore]:
    with open_store(tmp_path, create=True) as store:
        add(store, 3)
        yield store


def add(store: DeltaEventStore, count: int) -> None:
    for _ in range(count):
        store.append("s-1", [Event("Came", {})])


@pytest.fixture
def others(store: DeltaEventStore, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for statement in live_log(str(tmp_path)).statements:
            connection.execute(statement)
        yield connection


@pytest.fixture
def watched(others: duckdb.DuckDBPyConnection, tmp_path: Path) -> Watched:
    watched = Watched()
    others.register_filesystem(watched)
    others.execute(f"set variable warehouse_root = 'watched://{tmp_path}'")
    return watched


def test_commits_are_looked_for_first_and_data_files_last(others: duckdb.DuckDBPyConnection, watched: Watched) -> None:
    """Any other order loses rows: of a commit that no checkpoint has summed up, or of a file that is not found."""
    for query in ("from events", "from stream('s-1')", "select type, count(*) from events where position > 1 group by all"):
        watched.patterns.clear()
        others.execute(query)
        assert watched.patterns == ["*.json", "*.checkpoint.parquet", "*.parquet"], query


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("happens", ["append", "append, checkpoint", "append, compact", "checkpoint, append, compact, append"])
def test_what_is_committed_while_a_query_looks_is_seen_whole_or_not_at_all(
    store: DeltaEventStore, others: duckdb.DuckDBPyConnection, watched: Watched, step: int, happens: str
) -> None:
    verbs: dict[str, Callable[[], object]] = {"append": lambda: add(store, 1), "checkpoint": store.checkpoint, "compact": store.compact}

    def happen(looks: int) -> None:
        if looks == step:
            for verb in happens.split(", "):
                verbs[verb]()

    watched.then = happen
    before = store.head()
    [(events, last)] = others.execute("select count(*), max(position) from events").fetchall()
    assert before <= events == last <= store.head() > before


def test_a_list_of_commits_that_has_a_gap_is_read_up_to_it(store: DeltaEventStore, others: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """As a list may have that is read while commits land."""
    add(store, 3)
    newest = sorted((tmp_path / "events/_delta_log").glob("*.json"))
    newest[-2].rename(tmp_path / "aside")
    assert others.execute("select count(*), max(position) from events").fetchall() == [(4, 4)]


def test_a_checkpoint_of_another_delta_writer_is_understood(store: DeltaEventStore, others: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    add(store, 1)
    store.compact()
    DeltaTable(str(tmp_path / "events")).create_checkpoint()
    for file in sorted((tmp_path / "events/_delta_log").glob("*.json"))[:-1]:
        file.unlink()
    add(store, 1)
    assert others.execute("select count(*), max(position) from events").fetchall() == [(5, 5)]
