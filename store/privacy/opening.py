"""Tokens in columns of Arrow: only the rows that hold some are touched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from store.privacy.key import KeyId
from store.privacy.keyring import Keyring
from store.privacy.token import MARK, Opened, opened_json, opened_text, redact_textless
from store.privacy.token import ids_in as token_ids

Events = TypeVar("Events", pa.Table, pa.RecordBatch)
Replace = Callable[[str], str]

DATA: Final = "data"
WINDOW_BYTES: Final = 1 << 20


def open_data(events: Events, opened: Opened) -> Events:
    """The same events with the values of their tokens."""
    return _with_data(events, lambda text: opened_json(text, opened))


def redact_data(events: Events) -> Events:
    """The same events, without those tokens that their classes could not read: see `redact_textless`."""
    return _with_data(events, redact_textless)


def ids_in(events: pa.Table | pa.RecordBatch) -> frozenset[KeyId]:
    """The keys of all tokens in the data of these events."""
    return ids_of(events.column(DATA))


def ids_of(column: Any) -> frozenset[KeyId]:
    """Those in a column of strings."""
    if not may_hold(column):
        return frozenset()
    texts = column.cast(pa.string()) if column.type != pa.string() else column
    held = texts.filter(pc.match_substring(texts, MARK))
    return frozenset().union(*map(token_ids, held.to_pylist()))


def may_hold(column: Any, *marks: str) -> bool:
    """Does MARK, or one of these, stand anywhere in the bytes of a column of strings? Arrow's own search takes four times as long, text by text."""
    sought = [mark.encode() for mark in marks or (MARK,)]
    return any(_bytes_hold(chunk, sought) for chunk in (column.chunks if isinstance(column, pa.ChunkedArray) else [column]))


def _bytes_hold(chunk: pa.Array, sought: Sequence[bytes]) -> bool:
    if chunk.type != pa.string() or not len(chunk):
        return bool(len(chunk))
    _, offsets, texts = chunk.buffers()
    first, end = (pa.Array.from_buffers(pa.int32(), 1, [None, offsets], offset=chunk.offset + place)[0].as_py() for place in (0, len(chunk)))
    view = memoryview(texts)[first:end] if texts is not None else b""
    windows = (bytes(view[start : start + WINDOW_BYTES + len(MARK)]) for start in range(0, len(view), WINDOW_BYTES))
    return any(mark in window for window in windows for mark in sought)


def open_table(table: pa.Table, keyring: Keyring) -> pa.Table:
    """The same rows with every token in a column of strings replaced by its value's text, or by what stands for it."""
    names = [field.name for field in table.schema if _is_text(field.type)]
    ids = frozenset[KeyId]().union(*(ids_of(table[name]) for name in names))
    if not ids:
        return table
    opened, _ = keyring.opener(ids)
    for name in names:
        table = table.set_column(table.schema.get_field_index(name), name, open_column(table[name], opened))
    return table


def open_column(column: Any, opened: Opened) -> Any:
    """The same strings with their tokens opened."""
    return _replaced(column, lambda text: opened_text(text, opened))


def _with_data(events: Events, replace: Replace) -> Events:
    index = events.schema.get_field_index(DATA)
    before = events.column(DATA)
    after = _replaced(before, replace)
    return events if after is before else events.set_column(index, events.schema.field(index), after)


def _replaced(column: Any, replace: Replace) -> Any:
    """The column itself where no row holds a token."""
    if isinstance(column, pa.ChunkedArray):
        chunks = [_replaced(chunk, replace) for chunk in column.chunks]
        if all(after is before for after, before in zip(chunks, column.chunks, strict=True)):
            return column
        return pa.chunked_array(chunks, column.type)
    if not may_hold(column):
        return column
    texts = column if column.type in (pa.string(), pa.large_string()) else column.cast(pa.string())
    mask = pc.fill_null(pc.match_substring(texts, MARK), False)
    held = texts.filter(mask)
    if not len(held):
        return column
    return pc.replace_with_mask(texts, mask, pa.array(map(replace, held.to_pylist()), texts.type)).cast(column.type)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
