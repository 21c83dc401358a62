"""DuckDB as others have it: the command line of an older release, in a process of its own, with nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_NEXT = "-- next --"


def answers(database: Path, queries: Sequence[str], first: str = "") -> list[list[str]]:
    """The lines that each query gives. AssertionError: one of them fails."""
    script = f"set TimeZone = 'UTC';{first}\n" + "".join(f"{query};\n.print {_NEXT}\n" for query in queries)
    command = [sys.executable, "-m", "duckdb_cli", "-readonly", "-bail", "-noheader", "-list", str(database)]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [answer.strip("\n").split("\n") if answer.strip("\n") else [] for answer in done.stdout.split(_NEXT)[:-1]]


def as_json(query: str) -> str:
    """Rows as texts that any release writes alike."""
    return f"select to_json(t)::varchar from ({query}) t order by all"
