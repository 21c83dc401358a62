"""What the present credentials can do with a warehouse, found by trying it: each try leaves everything as it was."""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple

from store.errors import AccessDeniedError
from store.storage.objects import Entry, Objects
from store.storage.places import join, objects_at
from store.storage.refusal import refused

PLACES: Final = ("events", "snapshots", "projections", "dead_letters", "metrics", "keys")


class Access(NamedTuple):
    """To one place of a warehouse. None: it cannot be told, as nothing is there to try it on."""

    place: str
    lists: bool
    reads: bool
    creates: bool | None
    replaces: bool | None
    removes: bool | None

    @property
    def capability(self) -> str:
        """"maintenance", "append-only", "read-only", "none"; "unknown" where nothing is there yet. Whoever may replace or remove, but not both, is
        told so by these fields alone."""
        if not (self.lists and self.reads):
            return "none"
        if self.creates is None:
            return "unknown"
        if self.creates and self.replaces and self.removes:
            return "maintenance"
        return "append-only" if self.creates else "read-only"


def check_access(uri: str) -> list[Access]:
    """To each place of the warehouse, in the order of PLACES.

    A file is created that is there already, and the newest commit is put in its own place, with the same bytes both times; what is removed has a name
    that nothing ever had. Of a directory the permissions are looked at.
    """
    return [_access(place, objects_at(join(uri, place))) for place in PLACES]


def check_maintenance(objects: Objects) -> None:
    """To be asked before a change that takes what is there away is recorded. AccessDeniedError: these credentials may append at most.

    One request, to remove a name that nothing ever had. Of a directory the permissions are looked at.
    """
    objects.delete([_nothing()])
    if objects.filesystem() is None and _may_remove(objects) is False:
        raise refused("delete", objects.uri, "files of others may not be removed from this directory")


def _access(place: str, objects: Objects) -> Access:
    try:
        entries = list(objects.list(""))
        lists = True
    except AccessDeniedError:
        entries, lists = [], False
    newest = max((entry for entry in entries if _is_commit(entry)), key=lambda entry: entry.modified_ms, default=None)
    path = newest.path if newest else "_delta_log/_last_checkpoint"
    body = b""

    def read() -> None:
        nonlocal body
        body = objects.get(path) or b""

    reads = _allowed(read)
    creates = replaces = None
    if newest and body:
        creates = _allowed(lambda: objects.put_if_absent(path, body))
        replaces = _allowed(lambda: objects.replace(path, body)) if creates else False
    removes = _allowed(lambda: objects.delete([_nothing()])) if objects.filesystem() is not None else _may_remove(objects)
    return Access(place, lists, reads, creates, replaces, removes)


def _nothing() -> str:
    """A name that nothing ever had."""
    return f"access-check-{uuid.uuid4().hex}"


def _is_commit(entry: Entry) -> bool:
    return "_delta_log/" in entry.path and entry.path.endswith(".json")


def _allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except AccessDeniedError:
        return False
    return True


def _may_remove(objects: Objects) -> bool | None:
    """Files of others: in a directory with the sticky bit only its owner may."""
    try:
        status = os.stat(objects.uri)
    except OSError:
        return None
    owner = os.geteuid() in (0, status.st_uid)
    return os.access(objects.uri, os.W_OK | os.X_OK) and (owner or not status.st_mode & stat.S_ISVTX)
