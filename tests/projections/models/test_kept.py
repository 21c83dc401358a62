"""`kept`: a read model as it was a while ago."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from projections import Projection, ReadModel, as_of, catch_up, diff
from projections.models.kept import kept
from store import MemoryEventStore


@pytest.fixture
def filled(model: ReadModel, store: MemoryEventStore) -> ReadModel:
    """With commits at 3, 6, and 9."""
    for until in (3, 6, 9):
        catch_up(store, model, until=until)
    return model


@pytest.mark.parametrize(("position", "checkpoint"), [(3, 3), (4, 3), (5, 3), (6, 6), (8, 6), (9, 9), (100, 9)])
def test_it_is_the_newest_version_at_or_below_the_position(filled: ReadModel, store: MemoryEventStore, position: int, checkpoint: int) -> None:
    found = kept(filled, position)
    assert found is not None
    assert found.checkpoint() == checkpoint
    assert diff(found, as_of(store, filled.projection, checkpoint)).is_empty


def test_before_the_first_there_is_none(filled: ReadModel, model: ReadModel) -> None:
    assert kept(filled, 2) is None
    assert kept(ReadModel(f"{model.uri}-nowhere", model.projection), 9) is None


def test_rows_of_other_code_are_none(filled: ReadModel, accounts: Projection) -> None:
    changed = ReadModel(filled.uri, replace(accounts, types=("Deposited",)))
    changed.adopt()
    assert changed.made_by() is not None
    assert kept(changed, 6) is None
    assert kept(changed, 9) is not None


def test_what_is_not_there_any_more_is_none(filled: ReadModel) -> None:
    for file in Path(filled.uri).glob("*.parquet"):
        shutil.move(file, file.with_suffix(".gone"))
    assert kept(filled, 6) is None
