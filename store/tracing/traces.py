"""Traces of values in the files of a warehouse: every byte of each is searched, and what its format hides from that, too."""

from __future__ import annotations

import base64
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from store.errors import InvalidEventError
from store.storage.places import objects_at
from store.tracing.pages import pages

SHORTEST: Final = 4
"""Bytes of a value, at least: shorter ones stand in any file by chance."""


class Trace(NamedTuple):
    """`path`: below the warehouse. `how`: where in the file, and how it is written there. `value`: the one that was searched for."""

    path: str
    how: str
    value: str | bytes


def check_values(values: Iterable[str | bytes]) -> None:
    """InvalidEventError: a value is shorter than SHORTEST bytes, so `traces` cannot search for it. To be asked before anything is erased."""
    for value in values:
        size = len(value.encode() if isinstance(value, str) else value)
        if size < SHORTEST:
            raise InvalidEventError("value", value, f"has {size} bytes", f"search for {SHORTEST} at least: shorter ones stand anywhere by chance")


def traces(uri: str, values: Iterable[str | bytes]) -> list[Trace]:
    """Where any of these values stands in any file below that directory or object-store prefix, once for each file, place in it and form.

    Searched are the names of files, and every file whole: as it is; Parquet page by page, without compression (dictionaries and values that no row
    has any more, too), and value by value; Arrow, gzip and zstd files without compression; the tables of a DuckDB database. Footers and
    statistics are written plainly. A value is found as UTF-8, escaped in JSON once or twice, in base64 of either alphabet and in hex.

    A file that cannot be unpacked is told as a trace of no value: nothing is proved of it. What is not seen: values that were hashed, encrypted,
    cut into pieces, written in another case, or as numbers in binary. One file is in memory at a time.

    InvalidEventError: a value is shorter than SHORTEST bytes. StorageError: a file cannot be read.
    """
    forms = [form for value in values for form in _forms(value)]
    found = [trace for path, contents in _files(uri) for trace in _in_file(path, contents, forms)]
    return sorted(set(found), key=lambda trace: (trace.path, trace.how, str(trace.value)))


class _Form(NamedTuple):
    """A value as bytes, in one way of writing it."""

    value: str | bytes
    name: str
    needle: bytes


def _forms(value: str | bytes) -> Iterator[_Form]:
    text = value.encode() if isinstance(value, str) else bytes(value)
    check_values([value])
    written = {"": text, "hex": text.hex().encode(), "HEX": text.hex().upper().encode()}
    if isinstance(value, str):
        for name, ascii_only in (("JSON", False), ("ASCII JSON", True)):
            written[name] = once = _escaped(value, ascii_only)
            written[f"{name} twice"] = _escaped(once.decode(), ascii_only)
    for shift in range(3):                         # where in a run of three bytes it begins decides how base64 writes it
        whole = base64.b64encode(b"\0" * shift + text)
        first, last = -(-shift * 8 // 6), (shift + len(text)) * 8 // 6       # the signs that tell of nothing but the value
        written[f"base64 at {shift}"] = sign = whole[first:last]
        written[f"base64url at {shift}"] = sign.translate(bytes.maketrans(b"+/", b"-_"))
    seen: set[bytes] = set()
    for name, needle in written.items():
        if needle not in seen:
            seen.add(needle)
            yield _Form(value, name, needle)


def _escaped(text: str, ascii_only: bool) -> bytes:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1].encode()


def _files(uri: str) -> Iterator[tuple[str, bytes]]:
    """Every file, hidden and temporary ones, too."""
    with closing(objects_at(uri)) as objects:
        if objects.filesystem() is None:
            yield from _local(Path(objects.uri))
            return
        for entry in objects.list(""):
            if (contents := objects.get(entry.path)) is not None:
                yield entry.path, contents


def _local(root: Path) -> Iterator[tuple[str, bytes]]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder, name)
            try:
                if path.is_file():
                    yield str(path.relative_to(root)), path.read_bytes()
            except FileNotFoundError:              # removed since it was listed
                continue


def _in_file(path: str, contents: bytes, forms: list[_Form]) -> Iterator[Trace]:
    yield from _in_bytes(path, "name", path.encode(), forms)
    yield from _in_bytes(path, "bytes", contents, forms)
    for matches, unpacked in _KINDS:
        if matches(contents):
            try:
                for place, part in unpacked(contents):
                    yield from _in_bytes(path, place, part, forms)
            except (pa.ArrowException, OSError, EOFError, IndexError, KeyError, ValueError, duckdb.Error) as error:
                yield Trace(path, f"cannot be unpacked ({error!r:.200})", "")          # torn: of what is in it nothing is proved


def _in_bytes(path: str, place: str, part: bytes | memoryview, forms: list[_Form]) -> Iterator[Trace]:
    whole = bytes(part)
    for form in forms:
        if form.needle in whole:
            yield Trace(path, f"{place}, as {form.name}" if form.name else place, form.value)


# What formats hide -------------------------------------------------------------------------------------------------


def _parquet(contents: bytes) -> Iterator[tuple[str, bytes]]:
    for column, page in pages(contents):
        yield f"page of {column}", page
    with pq.ParquetFile(pa.BufferReader(contents)) as file:               # encodings by differences cut values into pieces
        for batch in file.iter_batches():
            yield from _batch(batch)


def _arrow(contents: bytes) -> Iterator[tuple[str, bytes]]:
    with ipc.open_file(pa.BufferReader(contents)) as file:
        for number in range(file.num_record_batches):
            yield from _batch(file.get_batch(number))


def _batch(batch: pa.RecordBatch) -> Iterator[tuple[str, bytes]]:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        for buffer in _buffers(column):
            yield f"values of {name}", bytes(buffer)


def _buffers(column: pa.Array) -> Iterator[pa.Buffer]:
    """Those of nested arrays, too, and those of a dictionary."""
    yield from (buffer for buffer in column.buffers() if buffer is not None)
    if pa.types.is_dictionary(column.type):
        yield from _buffers(column.dictionary)


def _gzip(contents: bytes) -> Iterator[tuple[str, bytes]]:
    yield "unpacked", gzip.decompress(contents)


def _zstd(contents: bytes) -> Iterator[tuple[str, bytes]]:
    with pa.CompressedInputStream(pa.BufferReader(contents), "zstd") as stream:
        yield "unpacked", stream.read()


def _duckdb(contents: bytes) -> Iterator[tuple[str, bytes]]:
    """Its tables: those of strings are compressed. Views are written plainly."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "copy.duckdb")
        file.write_bytes(contents)
        with duckdb.connect(str(file), read_only=True) as connection:
            for schema, name in connection.sql("select schema_name, table_name from duckdb_tables()").fetchall():
                for batch in connection.table(f'"{schema}"."{name}"').to_arrow_table().to_batches():
                    yield from ((f"table {name}, {place}", part) for place, part in _batch(batch))


_Kind = tuple[Callable[[bytes], bool], Callable[[bytes], Iterator[tuple[str, bytes]]]]
_KINDS: Final[tuple[_Kind, ...]] = (
    (lambda contents: contents[:4] == b"PAR1", _parquet),
    (lambda contents: contents[:6] == b"ARROW1", _arrow),
    (lambda contents: contents[:2] == b"\x1f\x8b", _gzip),
    (lambda contents: contents[:4] == b"\x28\xb5\x2f\xfd", _zstd),
    (lambda contents: contents[8:12] == b"DUCK", _duckdb),
)
