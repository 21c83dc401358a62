"""Files beside a table whose rows wait for a later commit: its marks name them, and vacuum leaves what they name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from store.tables.files import File, checked_path
from store.tables.layout import Layout
from store.tables.shape import text, understood, whole

STAGED: Final = "alluvium.staged"
"""The mark that names them."""
RECORDED_WITHIN_S: Final = 43_200.0
"""So soon after it was written a file is to be named: half the time for which vacuum leaves what nobody names, so that none has taken it."""


def staged_of(layout: Layout, marks: Mapping[str, str]) -> dict[str, tuple[File, ...]]:
    """The files, by the labels that they were staged under. Without bounds: they are no part of the table. NotOursError: the mark is none of ours."""
    if STAGED not in marks:
        return {}
    with understood(f"its mark {STAGED}"):
        return {label: tuple(_file(layout, *said) for said in files) for label, files in orjson.loads(marks[STAGED]).items()}


def staged_mark(staged: Mapping[str, Sequence[File]]) -> dict[str, str]:
    """As it stands in the table's configuration; nothing for no labels."""
    said = {label: [[file.path, file.size_bytes, file.rows, file.modified_ms, dict(file.tags)] for file in files] for label, files in staged.items()}
    return {STAGED: orjson.dumps(said).decode()} if said else {}


def _file(layout: Layout, path: str, size_bytes: int, rows: int, modified_ms: int, tags: Mapping[str, str]) -> File:
    told = {text(name): text(value) for name, value in tags.items()}
    return File(checked_path(layout, path), whole(size_bytes), whole(rows), {}, {}, "", whole(modified_ms), told)
