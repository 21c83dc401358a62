from __future__ import annotations

from pathlib import Path

import pytest

from store import Event, TableRefusedError, open_store, verify


def test_a_log_is_verified_while_it_is_open(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", [Event("Done", {}), Event("Done", {})])
        found = verify(str(tmp_path), lambda done, total: told.append((done, total)))
    assert (found.sound, found.events, found.files, list(found.findings), told[-1]) == (True, 2, 1, [], (2, 2))


def test_damage_is_found(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        store.append("a-1", [Event("Done", {})])
    next(tmp_path.rglob("*.parquet")).unlink()
    assert not verify(str(tmp_path)).sound


def test_a_place_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableRefusedError):
        verify(str(tmp_path))
