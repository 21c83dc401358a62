"""The outsider's check needs nothing of ours, and answers with its exit code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from store import open_store
from tests.store.audit.outsider import source
from tests.store.delta.verifying.damage import live, rewrite, with_values
from tests.store.facts import facts


def test_it_imports_nothing_of_ours() -> None:
    names = {name.name for node in ast.walk(ast.parse(source())) if isinstance(node, ast.Import) for name in node.names}
    names |= {str(node.module) for node in ast.walk(ast.parse(source())) if isinstance(node, ast.ImportFrom)}
    assert names == {"hashlib", "json", "sys", "pathlib", "duckdb", "deltalake"}


def test_it_runs_by_itself(tmp_path: Path) -> None:
    with open_store(tmp_path / "w", create=True) as store:
        store.append("a", facts(3))
        [head] = store.audit.attest(by="ada", why="every day")
        store.append("a", facts(3))
    script = tmp_path / "outsider.py"
    script.write_text(source())

    def run() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-I", str(script), str(head), str(tmp_path / "w" / "events")], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    assert run() == (0, "\n")
    rewrite(tmp_path / "w", live(tmp_path / "w")[0], lambda events: with_values(events, "data", {0: '{"number": 7}'}))
    code, said = run()
    assert (code, "PROBLEM: positions 1 to 3: what the events say was changed" in said) == (1, True), said
