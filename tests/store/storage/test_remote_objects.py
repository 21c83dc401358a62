from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.exceptions import PermissionDeniedError

from store import OutcomeUnknownError, StorageError
from store.observer import LoggingObserver
from store.storage.remote_objects import RemoteObjects

Answering = Callable[..., RemoteObjects]


def at(uri: str) -> RemoteObjects:
    return RemoteObjects(uri, LoggingObserver())


@pytest.fixture
def objects(s3_warehouse: str) -> RemoteObjects:
    return at(s3_warehouse)


@pytest.fixture
def answering(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """A store whose server gives these answers in turn, the last one for ever; 0 drops the connection."""
    servers = []

    def make(*statuses: int, body: bytes = b"") -> RemoteObjects:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(list(statuses), body))
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        return at("s3://bucket/prefix")

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def _handler(statuses: list[int], body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            self.close_connection = True
            if status:
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    for method in ("GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


def parquet(rows: int) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": range(rows), "text": [f"row {n}" for n in range(rows)]}), sink, row_group_size=100_000)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("data", [b"bytes", memoryview(b"a view"), pa.py_buffer(b"an Arrow buffer"), b"", bytes(6_000_000)])
def test_what_was_put_is_got(objects: RemoteObjects, data: bytes | memoryview | pa.Buffer) -> None:
    objects.put("shard=h/a.parquet", data)
    assert objects.get("shard=h/a.parquet") == bytes(memoryview(data))


def test_get_of_an_absent_object_is_none(objects: RemoteObjects) -> None:
    assert objects.get("absent") is None


def test_put_if_absent_creates_once_and_keeps_the_first(objects: RemoteObjects) -> None:
    assert [objects.put_if_absent("log/1.json", b"first"), objects.put_if_absent("log/1.json", b"second")] == [True, False]
    assert objects.get("log/1.json") == b"first"


def test_of_eight_racing_threads_exactly_one_wins_each_name(s3_warehouse: str) -> None:
    start = threading.Barrier(8)

    def race(number: int) -> list[tuple[str, int]]:
        objects = at(s3_warehouse)
        start.wait()
        return [(f"{name}.json", number) for name in range(50) if objects.put_if_absent(f"{name}.json", str(number).encode())]

    with ThreadPoolExecutor(8) as threads:
        won = [win for wins in threads.map(race, range(8)) for win in wins]
    assert Counter(name for name, _ in won) == {f"{name}.json": 1 for name in range(50)}
    objects = at(s3_warehouse)
    assert all(objects.get(name) == str(number).encode() for name, number in won)


@pytest.mark.parametrize("status", [503, 0], ids=["unavailable", "dropped"])
def test_put_if_absent_without_an_answer_is_of_unknown_outcome(answering: Answering, status: int) -> None:
    with pytest.raises(OutcomeUnknownError, match=r"s3://bucket/prefix/1\.json"):
        answering(status).put_if_absent("1.json", b"x")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_put_if_absent_refused_at_once_wrote_nothing(answering: Answering, status: int) -> None:
    with pytest.raises(StorageError, match="nothing was committed"):
        answering(status).put_if_absent("1.json", b"x")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_put_if_absent_refused_after_a_lost_reply_may_have_landed(answering: Answering, status: int) -> None:
    with pytest.raises(OutcomeUnknownError):
        answering(0, status).put_if_absent("1.json", b"x")


def test_put_if_absent_where_conditional_puts_are_switched_off_wrote_nothing(objects: RemoteObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    with pytest.raises(StorageError, match="nothing was committed"):
        at(objects.uri).put_if_absent("1.json", b"x")
    assert objects.get("1.json") is None


def test_a_repeated_put_whose_first_reply_was_lost_says_that_the_object_is_there(answering: Answering) -> None:
    assert answering(0, 412).put_if_absent("1.json", b"x") is False


def test_a_bucket_that_is_not_there_is_a_storage_error(s3_environment: str) -> None:
    objects = at("s3://no-such-bucket/prefix")
    with pytest.raises(StorageError, match="404 Not Found"):
        objects.put("a", b"x")
    with pytest.raises(StorageError, match="404 Not Found"):
        objects.put_if_absent("a", b"x")


OPERATIONS: dict[str, Callable[[RemoteObjects], object]] = {
    "put": lambda objects: objects.put("a", b"x"),
    "put_if_absent": lambda objects: objects.put_if_absent("a", b"x"),
    "get": lambda objects: objects.get("a"),
    "open": lambda objects: objects.open("a"),
    "list": lambda objects: list(objects.list("a")),
    "delete": lambda objects: objects.delete(["a"]),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_refusal_is_told_without_addresses_or_the_reply(answering: Answering, operation: Callable[[RemoteObjects], object]) -> None:
    """A reply can quote a key, an address can hold a signature."""
    objects = answering(403, body=b"<Error><AWSAccessKeyId>testing</AWSAccessKeyId></Error>")
    with pytest.raises(StorageError, match="403 Forbidden") as failed:
        operation(objects)
    assert not any(told in str(failed.value) for told in ("http://", "testing", "not-a-secret"))
    assert failed.value.__cause__ is None
    assert failed.value.__context__ is None


@pytest.mark.parametrize("rows", [10, 200_000], ids=["smaller than one read", "several row groups"])
def test_an_opened_object_is_read_as_parquet(objects: RemoteObjects, rows: int) -> None:
    objects.put("a.parquet", parquet(rows))
    with pq.ParquetFile(objects.open("a.parquet")) as file:
        assert file.read_row_group(file.num_row_groups - 1, columns=["n"])["n"].to_pylist()[-1] == rows - 1
        assert file.read().num_rows == rows


def test_an_opened_object_is_read_at_any_place(objects: RemoteObjects) -> None:
    data = bytes(range(256)) * 12_000
    objects.put("a", data)
    with objects.open("a") as file:
        assert file.size() == len(data)
        for place, size in [(0, 10), (2_000_000, 1_500_000), (len(data) - 4, 100), (5, 3), (1_048_570, 20), (len(data), 1)]:
            file.seek(place)
            assert file.read(size) == data[place : place + size]


def test_an_empty_object_is_opened(objects: RemoteObjects) -> None:
    objects.put("a", b"")
    with objects.open("a") as file:
        assert file.read() == b""


def test_opening_an_absent_object_is_a_storage_error(objects: RemoteObjects) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*/absent"):
        objects.open("absent")


def test_an_object_deleted_while_it_is_read_is_a_storage_error(objects: RemoteObjects) -> None:
    objects.put("a.parquet", parquet(200_000))
    with pq.ParquetFile(objects.open("a.parquet")) as file:
        objects.delete(["a.parquet"])
        with pytest.raises(StorageError, match=r"cannot read .*/a\.parquet"):
            file.read()


def test_listing_is_recursive_sorted_and_relative_to_the_table(objects: RemoteObjects) -> None:
    for path in ("log/b", "log/a", "log/deep/c", "logs/d"):
        objects.put(path, b"12345")
    entries = list(objects.list("log"))
    assert [(entry.path, entry.size_bytes) for entry in entries] == [("log/a", 5), ("log/b", 5), ("log/deep/c", 5)]


def test_listing_an_absent_directory_is_empty(objects: RemoteObjects) -> None:
    assert list(objects.list("absent")) == []


def test_deleting_takes_also_what_is_gone(objects: RemoteObjects) -> None:
    objects.put("a", b"x")
    objects.put("b", b"x")
    objects.delete(["gone", "a", "b"])
    assert list(objects.list("")) == []


@pytest.mark.parametrize("path", ["../x", "/x", "%2e%2e/x"])
@pytest.mark.parametrize("operation", ["put", "put_if_absent", "get", "open", "list", "delete", "location"])
def test_a_path_out_of_the_table_is_refused(s3_environment: str, operation: str, path: str) -> None:
    objects = at("s3://bucket/prefix")
    with pytest.raises(ValueError, match="does not lie below the table"):
        {
            "put": lambda: objects.put(path, b""),
            "put_if_absent": lambda: objects.put_if_absent(path, b""),
            "get": lambda: objects.get(path),
            "open": lambda: objects.open(path),
            "list": lambda: list(objects.list(path)),
            "delete": lambda: objects.delete([path]),
            "location": lambda: objects.location(path),
        }[operation]()


def turned(objects: RemoteObjects) -> bool:
    with objects.turn() as look_first:
        return look_first


def test_a_writer_looks_first_only_after_the_turn_of_another(objects: RemoteObjects) -> None:
    other = at(objects.uri)
    turned(objects)
    assert [turned(objects), turned(other), turned(other), turned(objects), turned(objects)] == [False, True, False, True, False]


def test_one_handle_at_a_time_has_the_turn(s3_warehouse: str) -> None:
    inside: list[int] = []

    def take(number: int) -> list[int]:
        objects, met = at(s3_warehouse), []
        for _ in range(30):
            with objects.turn():
                inside.append(number)
                objects.get("absent")              # long enough to be met
                met.append(len(inside))
                inside.pop()
        return met

    with ThreadPoolExecutor(4) as threads:
        assert [met for mets in threads.map(take, range(4)) for met in mets] == [1] * 120


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
def test_the_endpoint_comes_from_any_of_the_usual_variables(
    s3_warehouse: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv(variable, s3_endpoint)
    objects = at(s3_warehouse)
    deltalake.write_deltalake(objects.uri, pa.table({"n": [1]}), storage_options=dict(objects.storage_options()))
    assert [entry.path for entry in objects.list("_delta_log")] == ["_delta_log/00000000000000000000.json"]


def test_duckdb_reads_through_the_filesystem(objects: RemoteObjects) -> None:
    objects.put("shard=h/x.parquet", parquet(1000))
    with duckdb.connect() as database:
        database.register_filesystem(objects.filesystem())
        assert database.execute("select count(*), max(n) from read_parquet(?)", [objects.location("shard=h/x.parquet")]).fetchone() == (1000, 999)


def test_a_filesystem_uses_the_endpoint_of_its_own_time(
    objects: RemoteObjects, s3_endpoint: str, answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put("a", b"x")
    elsewhere = objects.uri.replace("s3://", "s3://not-")
    with pytest.raises(PermissionDeniedError):
        answering(403).filesystem().cat_file(f"{elsewhere}/a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    assert objects.filesystem().cat_file(objects.location("a")) == b"x"


def test_an_address_that_is_none_is_a_storage_error(s3_environment: str) -> None:
    with pytest.raises(StorageError, match="cannot be used as an object store"):
        at("s3://")
