"""Where a warehouse lies: a directory, or a prefix in an object store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from store.errors import TableRefusedError
from store.observer import Guarded, LoggingObserver, Observer
from store.storage.objects import Objects

_NAME: Final = re.compile(r"(?!\.\.?$)[A-Za-z0-9_.=-]+").fullmatch
_REMOTE: Final = ("s3", "s3a", "gs", "az", "abfs", "abfss")
_ALMOST_REMOTE: Final = re.compile(rf"({'|'.join(_REMOTE)}):/", re.IGNORECASE).match


def join(uri: str, name: str) -> str:
    """The place of a table of the warehouse."""
    return f"{uri.rstrip('/')}/{name}" if uri else name


def objects_at(uri: str, observer: Observer | None = None) -> Objects:
    """The storage at a path, a file: URI or an object-store URI. TableRefusedError: another kind of place.

    `observer` is told when an object store stops answering, and when it answers again.
    """
    scheme, separator, rest = uri.partition("://")
    if scheme.lower() in _REMOTE and separator:
        return _remote(scheme.lower(), rest, Guarded(LoggingObserver()) if observer is None else observer)
    if uri.lower().startswith("file:/"):
        return _directory(_path(uri))
    if not separator and not _ALMOST_REMOTE(uri):
        return _directory(uri)
    if not separator:
        raise TableRefusedError(uri, "it has one slash after the colon", "write two: s3://bucket/prefix")
    raise TableRefusedError(_shown(uri), f"{scheme}:// is no place for a warehouse", f"give a path, file:// or one of {', '.join(_REMOTE)}")


def inside(path: str) -> str:
    """The path, which lies below its table and holds only what we put into names: a log from elsewhere may name any file.

    What is left is read alike by every library: nothing to decode, to expand, or to take for another place.
    """
    if path and not all(map(_NAME, path.split("/"))):
        raise ValueError(f"{path!r} does not lie below the table, or is no name that this store makes")
    return path


def _directory(path: str) -> Objects:
    from store.storage.local_objects import LocalObjects

    return LocalObjects(Path(path).expanduser())


def _remote(scheme: str, rest: str, observer: Observer) -> Objects:
    from store.storage.remote_objects import RemoteObjects

    uri = f"{scheme}://{rest}"
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        raise TableRefusedError(_shown(uri), "its URI holds a password", "give credentials by the environment")
    if any(sign in rest for sign in "?#%"):        # each library reads them in its own way
        raise TableRefusedError(_shown(uri), "its URI holds one of ? # %", "name the bucket and a plain prefix; give credentials by the environment")
    return RemoteObjects(uri, observer)


def _path(uri: str) -> str:
    place = urlsplit(uri)
    if place.netloc not in ("", "localhost") or not place.path or place.query or place.fragment:
        raise TableRefusedError(_shown(uri), "it names another machine, or no absolute path", "write file:///absolute/path")
    return unquote(place.path)


def _shown(uri: str) -> str:
    """Without what may be a credential."""
    scheme, _, rest = re.split(r"[?#]", uri)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
