"""The three capabilities in a directory: by its permissions."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import open_store, verify
from tests.store.facts import facts

KEEPER, WRITER, READER, WRITERS = 54_321, 54_322, 54_323, 54_324

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


@pytest.fixture
def place() -> Iterator[Path]:
    """A warehouse of the keeper's, in which the group of writers can append: each may make files, and nobody may touch those of others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    place = folder / "warehouse"
    with open_store(place, create=True) as store:
        store.append("a", facts(3))
    for path in [place, *place.rglob("*")]:
        os.chown(path, KEEPER, WRITERS)
        path.chmod(0o3775 if path.is_dir() else 0o644)
    yield place
    shutil.rmtree(folder)


def told(uid: int, gid: int, place: Path, verb: str) -> str:
    words = [sys.executable, "-m", "tests.store.storage.as_user", str(uid), str(gid), str(place), verb]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, "TMPDIR": "/tmp", "HOME": "/tmp"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_who_may_only_read_a_directory_reads_it(place: Path) -> None:
    assert told(READER, READER, place, "read") == "read 3 3 3"
    assert told(READER, READER, place, "append") == "refused write append-only"
    assert told(READER, READER, place, "check") == "read-only"


def test_who_may_not_read_a_directory_is_not_told_that_there_is_no_log(place: Path) -> None:
    place.chmod(0o700)
    assert told(READER, READER, place, "read") == "refused read read-only"


def test_a_group_can_append_and_not_touch_what_others_wrote(place: Path) -> None:
    assert told(WRITER, WRITERS, place, "append") == "appended 4"
    assert told(WRITER, WRITERS, place, "check") == "append-only"
    assert told(WRITER, WRITERS, place, "erase") == "refused delete maintenance"
    assert told(READER, READER, place, "read") == "read 4 4 4"
    assert told(KEEPER, WRITERS, place, "append") == "appended 5"
    assert told(KEEPER, WRITERS, place, "erase") == "erased 5"
    assert verify(str(place)).sound
