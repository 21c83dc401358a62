"""Events as they are shown: a row each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa

from pipelines.cli.answer import Answer

_SHOWN: Final = ("position", "stream_id", "version", "type", "occurred_at", "tags", "data")
_SHOWN_BYTES: Final = 200


def each(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """In their order, with all columns of the log."""
    for batch in batches:
        yield from batch.to_pylist()


def tell_events(answer: Answer, title: str, events: Iterable[dict[str, Any]], names: Iterable[str] = _SHOWN) -> int:
    """For people the columns that are read most, with as much of the data as fits a line or two."""
    if answer.json:
        return answer.rows(title, events)
    columns = list(names)
    return answer.rows(title, ({name: _short(event[name]) for name in columns} for event in events), columns)


def _short(value: Any) -> Any:
    return f"{value[:_SHOWN_BYTES]}…" if isinstance(value, str) and len(value) > _SHOWN_BYTES else value
