"""The bench measures what it says, at sizes that take no time: numbers are made elsewhere, this keeps it from rotting."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from tests.bench import buckets, logs, machines, orchestration, postgres, workload, writers
from tests.bench.__main__ import SECTIONS, measure
from tests.bench.run import Sizes
from tests.bench.sustained import Look, verdict

TINY = Sizes(
    seconds=0.1, repeats=1, events=20_000, small_events=10_000, streams=1_000, commits=150, landing=20, cold=500, touches=500,
    writers=1, minutes=0.02, rate=500, clients=4, processes=2, sample_s=0.4, files=200, heads=20_000,
)  # fmt: skip

LINES = {
    "appends": ("1 client, 1 event", "one Arrow table of 10,000", "1 event an append", "1,000 streams there already"),
    "audit": ("attest", "check", "of it the SHA-256 of its files, on one core"),
    "growth": ("one-event commit", "raw append + fdatasync then"),
    "amplification": ("1 client, 1 event", "8 asyncio tasks, 100 events"),
    "erasure": ("one stream", "a tenth of the streams", "one customer, by a field of the data"),
    "writers": ("own streams, 1 client each", "5 shared streams, 1 client each", "1 client each"),
    "buckets": ("5 ms a request", "5 ms, every 20th answer 503"),
    "machines": ("own streams, one commit after the other", "one event, after a pause", "one table of 2,000 rows"),
    "logs": ("any stream", "1 logs", "4 logs"),
    "push": ("same process", "live read model", "other process"),
    "log": ("live files", "with both (UUIDs, one correlation id an order)"),
    "reads": ("footers cached, compacted", "same stream again, 20 commits later", "SQL, of columns", "rate, Arrow batches", "out of JSON text"),
    "sql": ("one stream, by `stream`", "everything: count, sum by type", "typed table, by its name"),
    "access": ("one stream, by `stream`", "count of a grant of one type"),
    "opening": ("open", "first append to a cold stream", "one table that touches 500 cold streams"),
    "deciding": ("encode: an Event each, with an id", "transact", "plain", "transact_query on a tag of its own"),
    "loading": ("10 events", "typed objects", "load_many"),
    "projections": ("SQL", "frame", "handlers", "DuckDB", "Sail", "typed table", "of 10,000"),
    "snapshots": ("1,000 in one commit", "handle just opened", "state cached", "100", "target 50 ms", "rebuild_snapshots"),
    "privacy": ("1 client, 1 event", "one Arrow table of 1,000", "compacted", "load", "load without keys", "deleted, with the files that held it"),
    "retention": ("events/s", "delete a stream", "remove what is hidden"),
    "scale": ("checkpoint written, 20,000 replaced", "log opened", "read", "one stream, by `stream`"),
    "dagster": ("the runner alone", "a run in the same process, kept in SQLite", "`pipelines.follow`", "the sensor"),
    "sustained": ("0.4", "0.8", "1.2"),
}


if postgres.binaries() is not None:
    LINES["sql"] += ("a field out of JSON, of one type", "the same out of a typed table")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_fills_its_tables_and_leaves_nothing_behind(
    section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "LATENCIES_MS", (5,))
    monkeypatch.setattr(machines, "REQUEST_S", 0.005)
    monkeypatch.setattr(logs, "REQUEST_S", 0.005)
    monkeypatch.setattr(logs, "LOGS", (1, 4))
    monkeypatch.setattr(machines, "LARGE", 2_000)
    monkeypatch.setattr(orchestration, "VARIANTS", {"the sensor": orchestration.INSTANCE})       # each starts a server
    measure([section], tmp_path, TINY)
    told = capsys.readouterr().out
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in told.splitlines() if line.startswith("| ")}
    assert [line for line in LINES[section] if line not in rows] == []
    assert [line for line in LINES[section] if not re.search(r"\| [1-9]|\| 0\.\d*[1-9]", rows[line])] == [], "a line without a number"
    assert list(tmp_path.iterdir()) == []


def test_requests_cost_what_the_price_list_says() -> None:
    assert buckets.dollars(Counter({"PUT": 1_000_000, "LIST": 1_000, "GET": 1_000_000})) == pytest.approx(5.0 + 0.005 + 0.4)


def test_writers_race_for_the_same_streams(tmp_path: Path) -> None:
    counts = writers.race(tmp_path / "race", writers.shared, 2, 0.3)
    assert all(won for won, _ in counts)
    assert sum(lost for _, lost in counts) > 0, "both began at the same place of the same stream"


def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "sustained", "--folder", str(tmp_path), "--rate", "500"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as bench:
        assert bench.stdout is not None
        assert any("after, s" in line for line in bench.stdout), "it never got to work"
        assert list(tmp_path.iterdir()) != []
        bench.send_signal(signal.SIGTERM)
        assert bench.wait() == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", ["ordered", "random"])
def test_the_history_made_in_SQL_is_the_one_made_in_Python(names: str) -> None:
    table = workload.history(20_000, 10_000, names)
    for row, (stream_id, kind, data) in enumerate(zip(*(table[name].to_pylist() for name in ("stream_id", "type", "data")), strict=True)):
        version = row // 1000
        assert stream_id == workload.order_name(2000 + row % 1000, names)
        assert kind == workload.LIFECYCLE[version]
        assert orjson.loads(data) == workload.payload(stream_id, version, 20_000 + row)


def test_causes_and_correlations_follow_the_order() -> None:
    events = workload.history(0, 10_000, ids=True).to_pylist()
    one = [event for event in events if event["stream_id"] == "order-00000007"]
    assert len({event["correlation_id"] for event in one}) == 1
    assert [event["causation_id"] for event in one[1:]] == [event["event_id"] for event in one[:-1]]


def test_the_verdict_tells_what_grew_and_what_stayed_level() -> None:
    looks = [Look(at, 9_000, 0.002, 0.004, 0.01, 0, 100, 10, 1_000 * (at + 1), 50, 4_096, 200) for at in range(8)]
    said = verdict(looks, 10_000)
    assert "90% of 10,000" in said
    assert "inodes 5.00 (grows)" in said
    assert "live files 1.00," in said
