"""How large the log is."""

from __future__ import annotations

from pathlib import Path

from store import Event, EventStore, LogSize, open_store


def test_it_counts_what_was_appended(store: EventStore) -> None:
    assert store.size().events == 0
    store.append("a-1", [Event("Happened", {}), Event("Happened", {})])
    assert store.size().events == 2
    assert store.size().data_bytes > 0


def test_it_is_that_of_the_live_files(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as writer, open_store(tmp_path) as store:
        for number in range(3):
            writer.append(f"a-{number}", [Event("Happened", {})])
        landed = sum(file.stat().st_size for file in (tmp_path / "events").glob("shard=*/*.parquet"))
        assert store.size() == LogSize(3, 3, landed, 3)
        writer.compact()
        assert store.size()[:2] == (3, 1)
