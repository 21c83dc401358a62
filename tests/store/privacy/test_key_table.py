"""Keys in a table: what is deleted leaves no bytes, whoever was at it and whatever came in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store import InvalidEventError, Key, KeyTable, TableRefusedError, traces
from store.keyed.keyed_table import KeyedTable
from store.privacy.wrapping import name_of


def test_two_processes_that_race_get_the_same_keys(tmp_path: Path) -> None:
    code = "import sys; from store import KeyTable; print({s: k.material.hex() for s, k in KeyTable(sys.argv[1]).newest(['ada', 'bea']).items()})"
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert "ada" in said.pop()


def test_deleting_removes_the_bytes(tmp_path: Path) -> None:
    """Of every key of the subject, from every file; nobody else's is lost."""
    table, other = KeyTable(tmp_path), KeyTable(tmp_path)
    first, bea = table.newest(["ada", "bea"]).values()
    second = other.rotate("ada")
    for number in range(40):                       # so many commits that there is a checkpoint
        other.newest([f"subject {number}"])
    other.maintain()
    assert {trace.value for trace in traces(str(tmp_path), [first.material, second.material])} == {first.material, second.material}
    assert table.delete("ada") == 2
    assert traces(str(tmp_path), [first.material, second.material]) == []
    assert other.find([first.id, second.id, bea.id]) == {bea.id: bea}


def test_a_deletion_that_was_cut_off_is_finished_by_a_repeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the commit and before the files went."""
    table = KeyTable(tmp_path)
    ada = table.newest(["ada"])["ada"]
    with monkeypatch.context() as patch:
        patch.setattr(KeyedTable, "purge", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            table.delete("ada")
    assert traces(str(tmp_path), [ada.material])
    assert KeyTable(tmp_path).delete("ada") == 0
    assert traces(str(tmp_path), [ada.material]) == []


def test_what_a_killed_writer_left_goes_with_the_next_deletion(tmp_path: Path) -> None:
    """A leaf that was written and never committed holds the keys of others, too."""
    table = KeyTable(tmp_path)
    ada = table.newest(["ada"])["ada"]
    for leaf in list(tmp_path.glob("keys/*.parquet")):
        (tmp_path / "keys" / f"{os.urandom(16).hex()}.parquet").write_bytes(leaf.read_bytes())
    table.delete("ada")
    assert traces(str(tmp_path), [ada.material]) == []


def test_a_key_in_a_temporary_file_goes_with_the_next_deletion(tmp_path: Path) -> None:
    """A writer was killed between writing it and giving it its name, just now."""
    table = KeyTable(tmp_path)
    ada = table.newest(["ada"])["ada"]
    leaf = max((tmp_path / "keys").rglob("*.parquet"), key=lambda file: file.stat().st_mtime_ns)
    left = leaf.with_name(f".{uuid.uuid4().hex}.tmp")
    shutil.copy(leaf, left)
    assert left.as_posix().removeprefix(f"{tmp_path}/") in {trace.path for trace in traces(str(tmp_path), [ada.material])}
    table.delete("ada")
    assert not left.exists()
    assert traces(str(tmp_path), [ada.material]) == []


def test_deletions_beside_writers_lose_nothing(tmp_path: Path) -> None:
    """A purge takes their temporary files for ones that were left: they write them again."""
    def write(writer: int) -> list[Key]:
        table = KeyTable(tmp_path)
        return [key for number in range(5) for key in table.newest([f"{writer} {number}"]).values()]

    KeyTable(tmp_path).newest(["ada"])
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, writer) for writer in range(3)]
        while not all(one.done() for one in writing):
            KeyTable(tmp_path).delete("ada")
        made = [key for one in writing for key in one.result()]
    assert list(KeyTable(tmp_path).find([key.id for key in made]).values()) == made


def test_the_table_names_no_subject(tmp_path: Path) -> None:
    KeyTable(tmp_path).newest(["ada@example.com"])
    assert traces(str(tmp_path), ["ada@example.com"]) == []


def test_under_a_master_key_the_table_holds_no_key(tmp_path: Path) -> None:
    master = os.urandom(32)
    table = KeyTable(tmp_path, [master])
    ada = table.newest(["ada"])["ada"]
    assert traces(str(tmp_path), [ada.material, master]) == []
    assert KeyTable(tmp_path, [master]).find([ada.id]) == {ada.id: ada}
    for wrong in ([], [os.urandom(32)]):
        with pytest.raises(TableRefusedError, match="which is not given; give that master key, too"):
            KeyTable(tmp_path, wrong).newest(["ada"])


def test_the_master_key_can_be_changed(tmp_path: Path) -> None:
    """From none to one, to another one, and back; the keys stay, the old wrappings go."""
    plain = KeyTable(tmp_path)
    ada = plain.newest(["ada"])["ada"]
    old, new = os.urandom(32), os.urandom(32)
    assert KeyTable(tmp_path, [old]).rewrap() == 1
    assert traces(str(tmp_path), [ada.material]) == []
    both = KeyTable(tmp_path, [new, old])
    assert both.find([ada.id]) == {ada.id: ada}
    bea = both.newest(["bea"])["bea"]
    assert len(both.status().masters) == 2
    assert both.rewrap() == 1
    assert len(both.status().masters) == 1
    assert KeyTable(tmp_path, [new]).find([ada.id, bea.id]) == {ada.id: ada, bea.id: bea}
    assert both.rewrap() == 0


@pytest.mark.parametrize("write", [KeyTable.rotate, lambda table, subject: table.delete("bea")], ids=["rotate", "delete"])
def test_what_is_written_is_wrapped_by_a_master_key_that_came_later(tmp_path: Path, write: Callable[[KeyTable, str], object]) -> None:
    """All keys of a row, and what refs are hashed by; what is not written waits for `rewrap`, and the status counts it."""
    plain = KeyTable(tmp_path)
    ada, bea, _ = plain.newest(["ada", "bea", "cid"]).values()
    pepper = plain._peppered()
    master = os.urandom(32)
    later = KeyTable(tmp_path, [master])
    write(later, "ada")
    later.maintain()
    assert traces(str(tmp_path), [pepper]) == []
    assert bool(traces(str(tmp_path), [ada.material])) == (write is not KeyTable.rotate)
    assert later.status().masters[""] == 2
    assert later.find([ada.id]) == {ada.id: ada}
    assert later.rewrap() == 2
    assert traces(str(tmp_path), [ada.material, bea.material]) == []
    assert set(later.status().masters) == {name_of(master)}


def test_a_key_that_only_another_master_key_unwraps_stays_as_it_is(tmp_path: Path) -> None:
    first, second = os.urandom(32), os.urandom(32)
    ada = KeyTable(tmp_path, [first]).newest(["ada"])["ada"]
    KeyTable(tmp_path, [second, first]).rewrap()
    KeyTable(tmp_path, [first, second]).newest(["bea"])
    with pytest.raises(TableRefusedError, match="which is not given"):
        KeyTable(tmp_path, [first]).find([ada.id])
    KeyTable(tmp_path, [second, first]).rotate("bea")
    assert KeyTable(tmp_path, [second]).find([ada.id]) == {ada.id: ada}


def test_a_master_key_of_another_length_is_refused_and_not_shown(tmp_path: Path) -> None:
    with pytest.raises(InvalidEventError, match="of 9 bytes") as refused:
        KeyTable(tmp_path, [b"my secret"])
    assert "my secret" not in str(refused.value)


def test_status_counts(tmp_path: Path) -> None:
    table = KeyTable(tmp_path)
    assert table.status() == (0, 0, 0, {})
    table.newest(["ada", "bea"])
    table.rotate("bea")
    table.delete("ada")
    assert table.status() == (1, 2, 1, {"": 2})
