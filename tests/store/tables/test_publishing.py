"""One commit's log file is put once, and what became of it is known before anything else is tried."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from store.errors import OutcomeUnknownError, StorageError
from store.storage.local_objects import LocalObjects
from store.storage.objects import Objects
from store.tables.publishing import Outcome, log_path, publish
from tests.store.delta.faults import FaultyObjects, lost_reply, lost_request, repeated_by_the_client

OURS = orjson.dumps({"commitInfo": {"alluvium": {"commit": "ours"}}}) + b"\n"
THEIRS = orjson.dumps({"commitInfo": {"alluvium": {"commit": "theirs"}}}) + b"\n"


@pytest.fixture
def objects(tmp_path: Path) -> FaultyObjects:
    return FaultyObjects(LocalObjects(tmp_path))


def put(objects: Objects, settle_s: float = 10.0) -> tuple[Outcome, bytes]:
    return publish(objects, 7, OURS, "ours", settle_s, "do it again")


@pytest.mark.parametrize("fault", [lost_reply, lost_request, repeated_by_the_client])
def test_commit_is_ours_whatever_reply_was_lost(objects: FaultyObjects, fault) -> None:  # type: ignore[no-untyped-def]
    objects.faults = [fault]
    assert put(objects) == (Outcome.OURS, OURS)
    assert objects.get(log_path(7)) == OURS


def test_commit_that_is_there_already_is_theirs(objects: FaultyObjects) -> None:
    objects.put_if_absent(log_path(7), THEIRS)
    assert put(objects) == (Outcome.THEIRS, THEIRS)


def test_commit_that_is_there_after_a_lost_request_is_theirs_at_last(objects: FaultyObjects) -> None:
    objects.put(log_path(7), THEIRS)
    objects.faults = [lost_request]
    assert put(objects) == (Outcome.THEIRS_AT_LAST, THEIRS)


def test_mute_storage_leaves_the_outcome_unknown(objects: FaultyObjects) -> None:
    objects.faults = [lost_request]
    with pytest.raises(OutcomeUnknownError):
        put(objects, settle_s=0.0)


def test_refusal_after_a_lost_request_leaves_the_outcome_unknown(objects: FaultyObjects) -> None:
    def refused(real: Objects, path: str, data: bytes) -> bool:
        raise StorageError("the disk is full")

    objects.faults = [lost_request, refused]
    with pytest.raises(OutcomeUnknownError, match=r"the disk is full.*do it again"):
        put(objects)
