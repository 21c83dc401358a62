from __future__ import annotations

from pathlib import Path

import pytest

from store import TableRefusedError
from store.storage.local_objects import LocalObjects
from store.storage.places import inside, join, objects_at
from store.storage.remote_objects import RemoteObjects


@pytest.mark.parametrize("spelling", ["{}", "file://{}", "file://localhost{}", "file:{}", "FILE://{}"])
def test_a_path_and_a_file_uri_are_one_directory(tmp_path: Path, spelling: str) -> None:
    objects = objects_at(spelling.format(tmp_path))
    assert isinstance(objects, LocalObjects)
    assert objects.uri == str(tmp_path)


def test_a_file_uri_is_percent_decoded(tmp_path: Path) -> None:
    assert objects_at(f"file://{tmp_path}/a%20b").uri == f"{tmp_path}/a b"


def test_a_relative_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert objects_at("warehouse").uri == f"{tmp_path}/warehouse"


@pytest.mark.parametrize("scheme", ["s3", "S3"])
def test_s3_is_an_object_store(s3_environment: str, scheme: str) -> None:
    objects = objects_at(f"{scheme}://bucket/warehouse")
    assert isinstance(objects, RemoteObjects)
    assert objects.uri == "s3://bucket/warehouse"


@pytest.mark.parametrize("uri", ["az://container/w", "abfs://container/w", "abfss://container@account.dfs.core.windows.net/w"])
def test_azure_is_an_object_store(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "bm90IGEgc2VjcmV0")
    assert objects_at(uri).location("a") == f"{uri}/a"


def test_a_slash_too_few_makes_no_directory_of_that_name() -> None:
    with pytest.raises(TableRefusedError, match="write two: s3://bucket/prefix"):
        objects_at("s3:/bucket/warehouse")


def test_other_schemes_are_refused_by_naming_those_understood() -> None:
    with pytest.raises(TableRefusedError, match=r"hdfs:// is no place for a warehouse; give a path, file:// or one of s3, s3a, gs, az, abfs, abfss"):
        objects_at("hdfs://host/warehouse")


@pytest.mark.parametrize("uri", ["file://otherhost/warehouse", "file://warehouse", "file:///w?x=1"])
def test_a_file_uri_of_another_machine_or_with_a_query_is_refused(uri: str) -> None:
    with pytest.raises(TableRefusedError, match="file:///absolute/path"):
        objects_at(uri)


@pytest.mark.parametrize("uri", ["s3://key:hunter2@bucket/w", "az://container/w?sig=hunter2", "https://me:hunter2@host/w", "file://me:hunter2@host/w"])
def test_a_credential_in_a_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(TableRefusedError) as refused:
        objects_at(uri)
    assert "hunter2" not in str(refused.value)


def test_join_keeps_one_slash() -> None:
    assert join("s3://bucket/w/", "events") == join("s3://bucket/w", "events") == "s3://bucket/w/events"


def test_join_to_the_working_directory_does_not_lead_to_the_root() -> None:
    assert join("", "events") == "events"


ELSEWHERE = [
    "../x", "a/../../x", "/etc/passwd", "/", "..", ".", "a/..", "a/./b", "a//b", "a/", "..\n", "a\n",
    "%2e%2e/x", "%252e%252e/x", "a/%2E%2e/x", "%2Fetc/passwd", "..%2Fx", "a%00",
    "a\0", "..\\x", "C:\\x", "s3://bucket/x", "file:///etc/passwd", "~/x", "$HOME", "a*", "a?", "[a]", "a b", "a'b", "a;b",
    "\u2024\u2024/x", "\uff0e\uff0e/x", "a\u2215b", "\u0663", "\udc2e",
]


@pytest.mark.parametrize("path", ELSEWHERE, ids=ascii)
def test_a_path_that_any_library_could_take_for_another_place_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="does not lie below the table"):
        inside(path)


@pytest.mark.parametrize("path", ["", "_delta_log/0.json", "a..b/..c", "shard=h/1-2-abc.parquet", ".abc.tmp", "..."])
def test_paths_below_the_table_are_taken_as_they_are(path: str) -> None:
    assert inside(path) == path
