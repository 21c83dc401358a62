"""Aggregates of one name: each would begin at the snapshots of the other, so there must be no two."""

from __future__ import annotations

from functools import partial
from inspect import unwrap
from types import CodeType
from typing import Any, NamedTuple

from store.deciding.aggregate import Aggregate
from store.errors import InvalidEventError


class _Folder(NamedTuple):
    """What tells one aggregate from another, also when it is made anew. Of functions these are the names: rather two that are taken for one
    than one that is taken for two."""

    evolve: str
    lambda_code: object
    state: str


class Namesakes:
    """The aggregates with snapshots that one store has met. Safe to use from many threads."""

    def __init__(self) -> None:
        self._met: dict[tuple[str, str, int], _Folder] = {}

    def meet(self, aggregate: Aggregate[Any]) -> None:
        """InvalidEventError: another one has its name, category and schema_version, but another `evolve` or type of state."""
        met = _folder(aggregate)
        first = self._met.setdefault((aggregate.name, aggregate.category, aggregate.schema_version), met)
        if met != first:
            problem = f"is that of two aggregates, {_told(first)} and {_told(met)}, each of which would begin at the snapshots of the other"
            remedy = "give one of them a name= of its own, or raise schema_version if it is the same one in a new form"
            raise InvalidEventError("name", aggregate.name, problem, remedy)


def _folder(aggregate: Aggregate[Any]) -> _Folder:
    evolve = _innermost(aggregate.evolve)
    named = evolve if hasattr(evolve, "__qualname__") else type(evolve)
    code = _code(evolve.__code__) if named.__qualname__.endswith("<lambda>") else None
    return _Folder(f"{named.__module__}.{named.__qualname__}", code, repr(aggregate.state))


def _innermost(function: Any) -> Any:
    """Without what is bound to it or wrapped around it, which may be made anew each time."""
    while isinstance(function, partial):
        function = function.func
    return unwrap(function)


def _code(code: CodeType) -> object:
    """What it does, wherever it stands."""
    return code.co_code, code.co_names, [const for const in code.co_consts if not isinstance(const, CodeType)]


def _told(folder: _Folder) -> str:
    return f"({folder.evolve}, {folder.state})"
