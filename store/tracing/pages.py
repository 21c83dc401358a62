"""The pages of a Parquet file as its encoder left them: also values that stand in a dictionary and that no row has any more.

Own code, because no library hands them out: readers give the values of rows, and those alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from store.tracing.thrift import read_struct

_CODECS: Final = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4": "lz4_raw", "LZ4_RAW": "lz4_raw"}
_UNCOMPRESSED_SIZE, _COMPRESSED_SIZE, _V2_HEADER = 2, 3, 8
_V2_DEFINITIONS, _V2_REPETITIONS, _V2_IS_COMPRESSED = 5, 6, 7


def pages(contents: bytes) -> Iterator[tuple[str, bytes]]:
    """The name of the column, and a page of it without compression: dictionaries first. ArrowInvalid: it is no whole Parquet file."""
    with pq.ParquetFile(pa.BufferReader(contents)) as file:
        metadata = file.metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            for page in _pages(contents[start : start + chunk.total_compressed_size], _CODECS.get(chunk.compression)):
                yield chunk.path_in_schema, page


def _pages(chunk: bytes, codec: str | None) -> Iterator[bytes]:
    at = 0
    while at < len(chunk):
        header, at = read_struct(chunk, at)
        body = chunk[at : at + header[_COMPRESSED_SIZE]]
        yield body if codec is None else _plain(header, body, codec)
        at += header[_COMPRESSED_SIZE]


def _plain(header: dict[int, Any], body: bytes, codec: str) -> bytes:
    """The levels of a page of the second kind are never compressed, and its values need not be."""
    second = header.get(_V2_HEADER)
    levels = 0 if second is None else second[_V2_DEFINITIONS] + second[_V2_REPETITIONS]
    size = header[_UNCOMPRESSED_SIZE] - levels
    if not size or (second is not None and second.get(_V2_IS_COMPRESSED) is False):
        return body
    return body[:levels] + bytes(pa.decompress(body[levels:], size, codec, asbytes=True))
