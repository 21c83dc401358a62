"""`traces`: is a value still anywhere in the warehouse?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.cli.bars import working
from pipelines.cli.outcome import DONE, FOUND
from pipelines.cli.session import HERE, Session
from store import traces as search


def traces(
    values: Annotated[list[str] | None, Parameter(name="VALUE", help="What to search for, of 4 bytes at least.")] = None,
    /,
    *,
    values_in: Annotated[Path | None, Parameter(help="A file with a value a line: it stays out of the shell's history.")] = None,
    session: Session = HERE,
) -> int:
    """Search every file of the warehouse, byte by byte and without compression, and say where a value stands. Exit code 3 if one was found.

    Found is UTF-8, also as JSON, base64 and hex write it. What was encrypted or hashed is not.
    """
    wanted = [*(values or ()), *(line for line in (values_in.read_text().splitlines() if values_in else ()) if line)]
    with working("searching"):
        found = search(session.uri, wanted)
    session.answer.rows("", [{"path": trace.path, "how": trace.how, "value": str(trace.value)} for trace in found])
    return FOUND if found else DONE
