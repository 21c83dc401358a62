"""`load`: a file's rows become events, once."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from pipelines.cli import loading
from pipelines.cli.outcome import DONE, FAILED, MISUSED
from store import open_store
from tests.pipelines.cli.conftest import Alluvium

ROWS = [
    {"id": n, "who": f"o'wner {n % 3}", "sum": n * 10, "time": f"2013-01-0{1 + n % 5} 12:00:00+00", "note": None if n % 2 else "ü"}
    for n in range(25)
]
MAPPING = """
stream_id = "'account-' || id % 4"
type = "'Deposited'"
occurred_at = "time"
tags = "['owner:' || who]"
where = "sum > 0"

[data]
amount = "sum"
owner = "who"
note = "note"
"""


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    (tmp_path / "map.toml").write_text(MAPPING)
    return tmp_path / "map.toml"


def write(path: Path) -> Path:
    """ROWS in the format of the path's ending."""
    lines, rows = "".join(json.dumps(row) + "\n" for row in ROWS), pa.Table.from_pylist(ROWS)
    match path.suffix:
        case ".gz":
            path.write_bytes(gzip.compress(lines.encode()))
        case ".csv":
            pyarrow.csv.write_csv(rows, path)
        case ".parquet":
            pyarrow.parquet.write_table(rows, path)
        case _:
            path.write_text(lines)
    return path


@pytest.mark.parametrize("name", ["it's.csv", "rows.jsonl", "rows.parquet", "rows.jsonl.gz"])
def test_the_rows_of_a_file_become_the_events_that_the_mapping_says(alluvium: Alluvium, warehouse: Path, mapping: Path, name: str) -> None:
    file = write(mapping.parent / name)
    assert alluvium("load", str(file), str(mapping), "--json").facts == {"appended": 24, "already_there": 0, "head": 36}
    with open_store(warehouse) as store:
        events = store.read_all(12).read_all().to_pylist()
    assert [event["stream_id"] for event in events] == [f"account-{row['id'] % 4}" for row in ROWS[1:]]
    assert [json.loads(event["data"]) for event in events] == [
        {"amount": row["sum"], "owner": row["who"], "note": row["note"]} for row in ROWS[1:]
    ]
    assert events[0]["occurred_at"].isoformat() == "2013-01-02T12:00:00+00:00"
    assert events[0]["tags"] == ["owner:o'wner 1"]


def test_a_file_is_loaded_once_however_often_it_is_said_and_only_what_is_new(
    alluvium: Alluvium, warehouse: Path, mapping: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "CHUNK_EVENTS", 7)
    file = write(mapping.parent / "rows.jsonl")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:15]))
    assert alluvium("load", str(file), str(mapping), "--json").facts["appended"] == 14
    file.write_text("".join(lines))
    assert alluvium("load", str(file), str(mapping), "--json").facts == {"appended": 10, "already_there": 14, "head": 36}
    assert alluvium("load", str(file), str(mapping), "--json").facts == {"appended": 0, "already_there": 24, "head": 36}


def test_an_id_of_the_mapping_makes_an_event_one_in_whatever_file(alluvium: Alluvium, warehouse: Path, mapping: Path) -> None:
    mapping.write_text("event_id = \"md5('deposit ' || id)::uuid\"\n" + MAPPING)
    alluvium("load", str(write(mapping.parent / "rows.jsonl")), str(mapping))
    assert alluvium("load", str(write(mapping.parent / "other.csv")), str(mapping), "--json").facts["already_there"] == 24


def test_without_data_all_columns_are_it(alluvium: Alluvium, warehouse: Path, mapping: Path) -> None:
    mapping.write_text("stream_id = \"'row-' || id\"\ntype = \"'Seen'\"\n")
    alluvium("load", str(write(mapping.parent / "rows.jsonl")), str(mapping))
    [event] = alluvium("stream", "row-3", "--json").rows
    assert event["data"].keys() == ROWS[3].keys()


def test_a_dry_run_shows_the_first_events_and_changes_nothing(alluvium: Alluvium, warehouse: Path, mapping: Path) -> None:
    told = alluvium("load", str(write(mapping.parent / "rows.jsonl")), str(mapping), "--dry-run")
    assert (told.code, "rows.jsonl: the first of 24 events" in told.out, told.out.count("Deposited")) == (DONE, True, 5)
    assert len(alluvium("load", str(mapping.parent / "rows.jsonl"), str(mapping), "--dry-run", "--json").rows) == 5
    with open_store(warehouse) as store:
        assert store.head() == 12


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("stream_id = ", "is no TOML"),
        ("type = \"'A'\"", "does not say stream_id: give SQL, such as stream_id ="),
        ("stream = \"'a'\"\n" + MAPPING, "says stream, which nobody knows: take some of stream_id, type"),
        (MAPPING.replace('"sum"', '"summ"'), "data.amount = 'summ' cannot be computed of rows.jsonl: Binder Error"),
        (MAPPING.replace("sum > 0", "sum >"), "where = 'sum >' cannot be computed of rows.jsonl: Parser Error"),
        ("data = 7\n" + MAPPING.partition("[data]")[0], "data is no table of SQL expressions"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_and_says_where(
    alluvium: Alluvium, warehouse: Path, mapping: Path, said: str, problem: str
) -> None:
    mapping.write_text(said)
    told = alluvium("load", str(write(mapping.parent / "rows.jsonl")), str(mapping))
    assert (told.code, told.out) == (MISUSED, "")
    assert problem in told.err


def test_rows_that_make_no_events_are_refused(alluvium: Alluvium, warehouse: Path, mapping: Path) -> None:
    file = write(mapping.parent / "rows.jsonl")
    mapping.write_text(MAPPING.replace("'account-' || id % 4", "nullif('account-' || id % 4, 'account-2')"))
    told = alluvium("load", str(file), str(mapping))
    assert (told.code, "stream_id" in told.err) == (FAILED, True)
    mapping.write_text(MAPPING.replace('amount = "sum"', 'amount = "who"'))
    assert "amount" in alluvium("load", str(file), str(mapping)).err
    with open_store(warehouse) as store:
        assert store.head() == 12


def test_files_that_cannot_be_read_are_refused(alluvium: Alluvium, warehouse: Path, mapping: Path) -> None:
    assert "files are read that end in .csv" in alluvium("load", str(mapping), str(mapping)).err
    assert "there is no file" in alluvium("load", "nowhere.csv", str(mapping)).err
    told = alluvium("load", "nowhere.csv", "nowhere.toml")
    assert (told.code, told.err) == (FAILED, "error: nowhere.toml: No such file or directory\n")
    (mapping.parent / "broken.parquet").write_text("no parquet")
    assert alluvium("load", str(mapping.parent / "broken.parquet"), str(mapping)).code in (FAILED, MISUSED)
