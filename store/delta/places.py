"""Where a warehouse lies: a directory, or a prefix in an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from store.delta.local_objects import LocalObjects
from store.delta.objects import Objects
from store.errors import TableRefusedError

_REMOTE: Final = ("s3", "s3a", "gs", "az", "abfs", "abfss")


def join(uri: str, name: str) -> str:
    """The place of a table of the warehouse."""
    return f"{uri.rstrip('/')}/{name}"


def objects_at(uri: str) -> Objects:
    """The storage at a path, a file: URI or an object-store URI. TableRefusedError: another kind of place."""
    scheme, separator, _ = uri.partition("://")
    if not separator:
        return LocalObjects(Path(uri).expanduser())
    if scheme == "file":
        return LocalObjects(Path(unquote(urlsplit(uri).path)))
    if scheme in _REMOTE:
        from store.delta.remote_objects import RemoteObjects

        return RemoteObjects(uri)
    raise TableRefusedError(uri, f"{scheme}:// is no place for a warehouse", f"give a path, file:// or one of {', '.join(_REMOTE)}")
