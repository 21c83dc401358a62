"""The search for traces: it finds a value wherever a format may hide it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from store import Event, InvalidEventError, open_store
from store.storage.places import objects_at
from store.tracing.traces import traces

ADA = "Ada Lovelace"


def hows(folder: Path, value: str | bytes = ADA) -> list[str]:
    return [trace.how for trace in traces(str(folder), [value])]


def table() -> pa.Table:
    """Written often enough that dictionaries and differences pay."""
    return pa.table({"name": [ADA] * 50 + [f"Ada {number}" for number in range(50)]})


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("page_version", ["1.0", "2.0"])
def test_it_reads_the_pages_of_parquet_files(tmp_path: Path, compression: str, page_version: str) -> None:
    """In every compression and form of page, with nothing in the statistics that would tell."""
    pq.write_table(table(), tmp_path / "a.parquet", compression=compression, data_page_version=page_version, write_statistics=False)
    assert "page of name" in hows(tmp_path)


def test_it_reads_a_dictionary_whose_value_no_row_has(tmp_path: Path) -> None:
    """A rewrite that keeps the dictionary would keep the value."""
    names = pa.DictionaryArray.from_arrays(pa.array([0, 0], pa.int8()), ["nobody", ADA])
    pq.write_table(pa.table({"name": names}), tmp_path / "a.parquet", write_statistics=False, store_schema=False)
    assert "page of name" in hows(tmp_path)


def test_it_reads_values_that_an_encoding_cuts(tmp_path: Path) -> None:
    """By differences, a value whose beginning is that of its neighbour stands nowhere whole."""
    names = pa.table({"name": ["Ada Lovely", ADA]})
    pq.write_table(names, tmp_path / "a.parquet", use_dictionary=False, column_encoding={"name": "DELTA_BYTE_ARRAY"}, write_statistics=False)
    assert hows(tmp_path) == ["values of name"]


def test_it_reads_statistics(tmp_path: Path) -> None:
    pq.write_table(pa.table({"name": [ADA, "Bea"]}), tmp_path / "a.parquet", compression="zstd")
    assert "bytes" in hows(tmp_path)


def test_it_unpacks_arrow_gzip_and_duckdb(tmp_path: Path) -> None:
    options = ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, ipc.new_file(file, table().schema, options=options) as writer:
        writer.write_table(table())
    (tmp_path / "b.gz").write_bytes(gzip.compress(ADA.encode() * 3))
    with pa.CompressedOutputStream(pa.OSFile(str(tmp_path / "c.zst"), "wb"), "zstd") as stream:
        stream.write(ADA.encode())
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("create table people as select 'Ada Lovelace' as name from range(100000)")
    found = {(trace.path, trace.how) for trace in traces(str(tmp_path), [ADA])}
    wanted = {("a.arrow", "values of name"), ("b.gz", "unpacked"), ("c.zst", "unpacked"), ("d.duckdb", "table people, values of name")}
    assert wanted <= found


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("JSON", lambda value: json.dumps(value, ensure_ascii=False)),
        ("JSON twice", lambda value: json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)),
        ("ASCII JSON", json.dumps),
        ("ASCII JSON twice", lambda value: json.dumps(json.dumps(value))),
        ("hex", lambda value: value.encode().hex()),
        *((f"base64 at {shift}", lambda value, shift=shift: base64.b64encode(b"x" * shift + value.encode() + b"y").decode()) for shift in range(3)),
        ("base64url at 0", lambda value: base64.urlsafe_b64encode(value.encode()).decode()),
    ],
)
def test_it_knows_how_values_are_written(tmp_path: Path, name: str, written: Callable[[str], str]) -> None:
    value = 'Zoë "Ö~?>" Lovelace'
    (tmp_path / "a.txt").write_text(f"before {written(value)} after")
    assert f"bytes, as {name}" in hows(tmp_path, value)


def test_hidden_files_and_names_count(tmp_path: Path) -> None:
    """What a crash left is a trace, too."""
    (tmp_path / "_turn").mkdir()
    (tmp_path / "_turn" / ".half.tmp").write_text(ADA)
    (tmp_path / f"{ADA}.txt").touch()
    assert [(trace.path, trace.how) for trace in traces(str(tmp_path), [ADA])] == [(f"{ADA}.txt", "name"), ("_turn/.half.tmp", "bytes")]


def test_a_file_that_cannot_be_unpacked_is_told(tmp_path: Path) -> None:
    """Else a torn file would pass for a clean one."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1" + b"x" * 20)
    assert hows(tmp_path)[0].startswith("cannot be unpacked")


def test_short_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidEventError, match="has 3 bytes"):
        traces(str(tmp_path), ["Ada"])


def test_it_searches_a_warehouse_whatever_has_become_of_its_files(tmp_path: Path) -> None:
    """Landing files, merged ones, and a checkpoint of the log: nothing of them is passed over."""
    with open_store(tmp_path, create=True) as store:
        for number in range(3):
            store.append(f"person-{number}", [Event("Registered", {"name": ADA}, tags=["tag of hers"])])
        store.compact()
        store.checkpoint()
    found = traces(str(tmp_path), [ADA, "tag of hers", "nobody at all"])
    assert {trace.value for trace in found} == {ADA, "tag of hers"}
    assert any(trace.how == "page of data" for trace in found)
    assert not [trace for trace in found if "unpacked (" in trace.how]


def test_it_searches_an_object_store(s3_warehouse: str) -> None:
    objects_at(s3_warehouse).put("deep/down.txt", ADA.encode())
    assert [(trace.path, trace.how) for trace in traces(s3_warehouse, [ADA])] == [("deep/down.txt", "bytes")]
