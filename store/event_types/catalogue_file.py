"""A catalogue as a file: JSON in a fixed order, for a team to keep beside its code and see what changes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from store.errors import EventTypesError
from store.event_types.shape import Shape

FORMAT: Final = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    alluvium_event_types: int
    shapes: list[Shape]


def read_shapes(path: Path) -> list[Shape]:
    """EventTypesError: there is no such file, or it is no catalogue of a format known here."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise EventTypesError(f"catalogue {path}", f"cannot be read ({error.strerror})", "save one there first") from error
    except msgspec.DecodeError as error:
        raise EventTypesError(f"catalogue {path}", f"is no catalogue ({error})", "restore it from version control, or save elsewhere") from error
    if file.alluvium_event_types != FORMAT:
        raise EventTypesError(f"catalogue {path}", f"has format {file.alluvium_event_types}, not {FORMAT}", "read it with the code that wrote it")
    for (name, version), times in Counter(shape.key for shape in file.shapes).items():
        if times > 1:                              # two branches were merged line by line
            raise EventTypesError(f"catalogue {path}", f"holds {name!r} {version} twice", "keep the one that is right")
    return file.shapes


def write_shapes(path: Path, shapes: Sequence[Shape]) -> None:
    """Whole or not at all; a write that stops halfway leaves the old file."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(_File(FORMAT, list(shapes))), indent=2) + b"\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise EventTypesError(f"catalogue {path}", f"cannot be written ({error.strerror})", "make its directory, or give another path") from error
