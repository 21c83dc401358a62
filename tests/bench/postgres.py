"""The same events in a PostgreSQL of our own: typed columns, data as JSONB, and the indexes that such a table would have."""

from __future__ import annotations

import csv
import io
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from store import EventStore

USER: Final = "postgres"
SETTINGS: Final = {
    "listen_addresses": "", "shared_buffers": "2GB", "effective_cache_size": "8GB", "work_mem": "256MB", "maintenance_work_mem": "1GB",
    "max_wal_size": "16GB", "random_page_cost": "1.1",
}  # fmt: skip
"""What a person would set who runs it on this machine; all else is its default, parallel workers and JIT among it."""
_TABLE: Final = """
    create table events (
        position bigint, stream_id text, version bigint, event_id uuid, type text, schema_version int, occurred_at timestamptz,
        recorded_at timestamptz, correlation_id text, causation_id text, tags text[], data jsonb, metadata jsonb
    )
"""
_INDEXES: Final = (
    "alter table events add primary key (position)", "create unique index on events (stream_id, version)", "create index on events (type)",
    "create index on events (recorded_at)", "create index on events (occurred_at)", "vacuum analyze events",
)  # fmt: skip


def binaries() -> Path | None:
    """Where the newest server is that Debian installs; None: there is none, or nobody to run it for root."""
    if os.getuid() == 0 and USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return None
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]) if path.parts[-3].isdecimal() else 0)
    return found[-1].parent if found and shutil.which("psql") else None


class Postgres:
    """A server that only its socket's folder reaches."""

    def __init__(self, socket: str) -> None:
        self._psql = ["psql", "-X", "-q", "-h", socket, "-U", USER, "-v", "ON_ERROR_STOP=1", USER]

    def version(self) -> str:
        return str(self.rows("show server_version")[0][0])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Cells as JSON where they are some, so that numbers are numbers."""
        told = subprocess.run([*self._psql, "-t", "--csv", "-c", query], capture_output=True, text=True, check=True).stdout
        return [tuple(map(_value, row)) for row in csv.reader(io.StringIO(told))]

    def run(self, *statements: str) -> None:
        for statement in statements:
            subprocess.run([*self._psql, "-c", statement], check=True, stdout=subprocess.DEVNULL)

    def seconds(self, query: str) -> float:
        """What it takes in a session that has asked it once before, rows fetched."""
        script = f"\\timing on\n\\o /dev/null\n{query};\n{query};\n"
        told = subprocess.run(self._psql, input=script, capture_output=True, text=True, check=True).stdout
        return float(re.findall(r"^Time: ([0-9.]+) ms", told, re.MULTILINE)[1]) / 1e3

    def load(self, store: EventStore) -> tuple[float, float]:
        """Copy every event in the order of the log, then make the indexes; seconds of each."""
        self.run(_TABLE)
        began = time.perf_counter()
        copying = subprocess.Popen([*self._psql, "-c", "copy events from stdin with (format csv)"], stdin=subprocess.PIPE)
        assert copying.stdin is not None
        with copying.stdin as sink:
            for batch in store.read_all():
                pyarrow.csv.write_csv(_copied(batch), sink, pyarrow.csv.WriteOptions(include_header=False))
        if copying.wait() != 0:
            raise AssertionError("PostgreSQL did not take the events")
        copied = time.perf_counter()
        self.run(*_INDEXES)
        return copied - began, time.perf_counter() - copied


@contextmanager
def server() -> Iterator[Postgres]:
    """Until the end of the block, below /var/tmp: root must start it as the user that Debian makes for it, to whom other folders may be closed."""
    programs, user = binaries(), USER if os.getuid() == 0 else None
    assert programs is not None, "there is no PostgreSQL here"
    with tempfile.TemporaryDirectory(prefix="alluvium-", dir="/var/tmp") as folder:
        if user is not None:
            shutil.chown(folder, user)
        made = [programs / "initdb", "-D", f"{folder}/data", "-U", USER, "-A", "trust", "--encoding=UTF8", "--no-locale"]
        subprocess.run(made, check=True, stdout=subprocess.DEVNULL, user=user, cwd=folder)
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        log = Path(folder, "log")
        with log.open("w") as sink:
            started = [programs / "postgres", "-D", f"{folder}/data", "-k", folder, *settings]
            running = subprocess.Popen(started, stdout=sink, stderr=sink, user=user, cwd=folder)
            try:
                _await(programs, folder, running, log)
                yield Postgres(folder)
            finally:
                running.send_signal(signal.SIGINT)             # a fast shutdown, of its children too
                running.wait()


def _await(programs: Path, socket: str, running: subprocess.Popen[bytes], log: Path) -> None:
    while subprocess.run([programs / "pg_isready", "-q", "-h", socket, "-U", USER], check=False).returncode != 0:
        if running.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {log.read_text()}")
        time.sleep(0.05)


def _copied(batch: pa.RecordBatch) -> pa.Table:
    table = pa.Table.from_batches([batch])
    tags = pc.binary_join_element_wise("{", pc.binary_join(table["tags"].cast(pa.list_(pa.string())), ","), "}", "")
    return table.set_column(table.column_names.index("tags"), "tags", tags)


def _value(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def alike(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows of ours, as `rows` has those of PostgreSQL: JSONB keeps no order of keys."""
    return [tuple(_value(cell) if isinstance(cell, str) else cell for cell in row) for row in rows]
