"""How a commit becomes part of a table: its log file is put if there is none of that number."""

from __future__ import annotations

import hashlib
import itertools
import random
import time
from enum import Enum
from typing import Final

import orjson

from store.errors import OutcomeUnknownError, StorageError, StoreClosedError
from store.storage.objects import Objects

FEATURE: Final = "alluvium"
"""Our writer feature: unknown to other writers, so they refuse to change the table; readers need nothing new.

In `commitInfo` it is the name of what we say of a commit, in any table of ours.
"""
_INFO: Final = b'{"commitInfo":{'


class Outcome(Enum):
    """Whose commit a version turned out to be."""

    OURS = "ours"
    THEIRS = "theirs"
    THEIRS_AT_LAST = "theirs, after a put of ours of unknown fate, which might still arrive"
    SLEPT = "the put succeeded, but the log has been cleaned past it: only the events themselves tell whether it was in time"


def log_path(version: int) -> str:
    return f"_delta_log/{version:020d}.json"


def commit_id_of(body: bytes) -> str:
    """The uuid of the commit, without reading the rest; empty for a foreign one."""
    try:
        return str(orjson.loads(body.split(b"\n", 1)[0])["commitInfo"][FEATURE]["commit"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""


def linked(body: bytes, previous: str | None) -> bytes:
    """The commit, saying first which one it follows: by the SHA-256 of the bytes of the one before it, in hex; None where that is not known."""
    assert body.startswith(_INFO), "a commit of ours begins with its commitInfo"
    return _INFO + orjson.dumps({"previous": previous})[1:-1] + b"," + body[len(_INFO) :]


def digest_of(body: bytes) -> str:
    """Of a commit as it lies there: what the next one calls its `previous`."""
    return hashlib.sha256(body).hexdigest()


def previous_of(body: bytes) -> str | None:
    """What a commit of ours says of the one before it; None where it says nothing, or nothing was known."""
    said = orjson.loads(body.split(b"\n", 1)[0])["commitInfo"].get("previous")
    return said if isinstance(said, str) else None


def publish(objects: Objects, version: int, body: bytes, commit_id: str, settle_s: float, remedy: str) -> tuple[Outcome, bytes]:
    """Put commit `version`, durably: OURS, THEIRS or THEIRS_AT_LAST, and the commit that is there.

    A put of unknown outcome is repeated with the same bytes until somebody's commit is there: only then is
    the outcome known, and a version higher than this one may be tried. OutcomeUnknownError: storage stayed mute
    for `settle_s`; `remedy` tells what to do then.
    """
    patience = time.monotonic() + settle_s
    unknown = taken = False
    for attempt in itertools.count():
        try:
            if objects.put_if_absent(log_path(version), body):
                return Outcome.OURS, body
            # It may be ours all the same: storage repeats a put whose reply was lost, and finds its own object.
            taken = True
            if (there := objects.get(log_path(version))) is not None:
                if commit_id_of(there) == commit_id:
                    return Outcome.OURS, body
                return Outcome.THEIRS_AT_LAST if unknown else Outcome.THEIRS, there
        except OutcomeUnknownError:
            unknown = True
            if time.monotonic() > patience:
                raise
            time.sleep(random.uniform(0.5, 1.0) * min(1.0, 0.02 * 2**attempt))
        except (StorageError, StoreClosedError) as error:
            if not (unknown or taken):
                raise
            raise OutcomeUnknownError(f"commit {version} may or may not be durable ({error}): {remedy}") from error
    raise AssertionError("unreachable")
