"""A read model from elsewhere leads us to no file outside its directory."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest

from projections import ReadModel, ReadModelRefusedError, catch_up
from store import MemoryEventStore, StorageError


@pytest.fixture
def table(model: ReadModel, store: MemoryEventStore) -> Path:
    """The directory of a read model with one data file."""
    catch_up(store, model)
    return Path(model.uri)


@pytest.fixture
def outside(table: Path, tmp_path: Path) -> Path:
    """A true data file somewhere else."""
    return Path(shutil.copy(next(table.glob("*.parquet")), tmp_path / "outside.parquet"))


def paths_to(file: Path, table: Path) -> list[str]:
    up = "../" * len(table.parts) + str(file).lstrip("/")
    return [str(file), file.as_uri(), up, quote(up, safe=""), quote(str(file), safe=""), f"x/{up}", f"s3://bucket/{file.name}", f"./{file.name}", ""]


@pytest.mark.parametrize("number", range(9))
def test_a_log_that_names_a_file_elsewhere_is_refused(model: ReadModel, table: Path, outside: Path, number: int) -> None:
    last = max((table / "_delta_log").glob("*.json"))
    actions = [orjson.loads(line) for line in last.read_bytes().splitlines()]
    for action in actions:
        action.get("add", {}).update(path=paths_to(outside, table)[number])
    last.write_bytes(b"\n".join(map(orjson.dumps, actions)))
    opened = ReadModel(model.uri, model.projection)
    for use in (opened.rows, opened.checkpoint, opened.turn):
        with pytest.raises(ReadModelRefusedError, match="not one of ours"):
            use()


@pytest.mark.parametrize("part", ["*.parquet", "_delta_log", "_delta_log/*0.json"])
def test_a_link_inside_a_read_model_is_refused(model: ReadModel, table: Path, tmp_path: Path, part: str) -> None:
    (there,) = table.glob(part)
    shutil.move(there, tmp_path / "moved")
    there.symlink_to(tmp_path / "moved")
    with pytest.raises((ReadModelRefusedError, StorageError), match=f"{there.name} is a symbolic link"):
        ReadModel(model.uri, model.projection).rows()


def test_a_read_model_may_itself_be_reached_through_a_link(model: ReadModel, table: Path, tmp_path: Path) -> None:
    rows = model.row_count()
    shutil.move(table, tmp_path / "moved")
    table.symlink_to(tmp_path / "moved")
    assert model.row_count() == rows
