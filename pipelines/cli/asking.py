"""`sql`: a question in SQL, over the log and every read model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import duckdb
from cyclopts import Parameter

from pipelines.cli.arguments import Count, Place
from pipelines.cli.outcome import MisusedError
from pipelines.cli.session import HERE, Session

SHOWN_ROWS: Final = 50
_BATCH_ROWS: Final = 50_000
_FORMATS: Final = {".parquet": "parquet", ".csv": "csv", ".jsonl": "json"}


def sql(
    query: Annotated[str, Parameter(allow_leading_hyphen=True, help="One select; - reads it from stdin.")],
    /,
    *,
    as_of: Annotated[Place | None, Parameter(help="Everything as it was at this position or time.")] = None,
    out: Annotated[Path | None, Parameter(help=f"Into a new file: {', '.join(_FORMATS)}.")] = None,
    grant: Annotated[str | None, Parameter(help="As who has this grant of ALLUVIUM_GRANTS would be answered.")] = None,
    limit: Annotated[Count, Parameter(help=f"So many rows are shown to people. [{SHOWN_ROWS}]")] = SHOWN_ROWS,
    session: Session = HERE,
) -> None:
    """Ask DuckDB, over the newest commit there is, or a past one: `events`, `streams`, every read model by its name, and the table macros
    `stream(id)`, `history(id)`, `state(category)`, `replay(after, until)`, `conversation(id)` and more."""
    if out is not None:
        _check(out)
    with session.asked() as warehouse:
        asked = sys.stdin.read() if query == "-" else query
        if grant is None:
            answer = warehouse.sql(asked, as_of=as_of)
        else:
            answer = duckdb.from_arrow(warehouse.ask(asked, as_of=as_of, grant=session.grant(grant)))
        if out is not None:
            rows = _write(answer, out)
            session.answer.facts("", {"file": str(out), "rows": rows, "file_bytes": out.stat().st_size})
            return
        session.answer.rows("", _each(answer), answer.columns, limit=limit, more="--limit, --out or --json for all")


def _each(answer: duckdb.DuckDBPyRelation) -> Iterator[dict[str, Any]]:
    for batch in answer.to_arrow_reader(_BATCH_ROWS):
        yield from batch.to_pylist()


def _check(out: Path) -> None:
    if out.suffix not in _FORMATS:
        raise MisusedError(f"{out} ends in {out.suffix or 'nothing'}: files are written that end in {', '.join(_FORMATS)}")
    if out.exists():
        raise MisusedError(f"there is a file {out} already: name a new one, or remove it")
    if not out.parent.is_dir():
        raise MisusedError(f"there is no directory {out.parent}: make it, or name another one")


def _write(answer: duckdb.DuckDBPyRelation, out: Path) -> int:
    """How many rows it has. A question that fails leaves no file."""
    place = str(out).replace("'", "''")
    [(rows,)] = answer.query("answer", f"copy (from answer) to '{place}' (format {_FORMATS[out.suffix]})").fetchall()
    return int(rows)
