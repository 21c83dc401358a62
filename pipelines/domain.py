"""A domain: everything of one business that the warehouse runs, as one explicit value found by an import string."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from pipelines.bounds import Bounds
from projections import BUILT_IN, Projection
from store import Aggregate, EventTypes

_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,60}")
_TAKEN: Final = frozenset(("events", "snapshots", "dead_letters", "metrics"))
"""Tables of every warehouse."""


class DomainError(Exception):
    """The domain cannot be had. The message says what to set or to mend."""


class UnknownNameError(Exception):
    """No projection is called so. The message names those that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """`name` groups the domain's assets. Each projection has a name of its own.

    `event_types`: by which payloads are checked. `aggregates`: whose snapshots are built and checked, those with a policy.
    `owners`: of its assets, e-mail addresses or `team:name`. `schemas`: for the name of a projection a function that makes the pandera schema
    (Polars) which its rows are checked by, so that pandera is imported only when they are. `bounds`: how late read models may be.
    """

    name: str
    projections: tuple[Projection, ...]
    event_types: EventTypes = field(default_factory=EventTypes)
    aggregates: tuple[Aggregate[Any], ...] = ()
    owners: tuple[str, ...] = ()
    schemas: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DomainError(f"domain {self.name!r} has no name for a group of assets: take letters, digits and underscores")
        names = [projection.name for projection in self.projections]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise DomainError(f"domain {self.name!r} has more than one projection called {', '.join(sorted(repeated))}: give each its own name")
        if taken := (_TAKEN | {projection.name for projection in BUILT_IN}) & set(names):
            raise DomainError(f"domain {self.name!r} calls a projection {', '.join(sorted(taken))}, as every warehouse has one: give it another name")
        if unknown := self.schemas.keys() - set(names):
            raise DomainError(f"domain {self.name!r} has schemas for {', '.join(sorted(unknown))}: take names of its projections: {', '.join(names)}")
        if wrong := [name for name, schema in self.schemas.items() if not callable(schema)]:
            raise DomainError(f"domain {self.name!r} has no function as schema of {', '.join(wrong)}: give one that makes it, such as lambda: schema")


    def named(self, names: Sequence[str] = ()) -> list[Projection]:
        """Its projections and those of every warehouse; of these names, or all for no names. UnknownNameError."""
        known = {projection.name: projection for projection in (*self.projections, *BUILT_IN)}
        if unknown := [name for name in names if name not in known]:
            raise UnknownNameError(f"there is no projection {', '.join(map(repr, unknown))}: take some of {', '.join(known)}")
        return [known[name] for name in names or known]


def load_domain(import_string: str) -> Domain:
    """The domain at `package.module:attribute`."""
    module_name, colon, attribute = import_string.partition(":")
    if not (module_name and colon and attribute):
        raise DomainError(f"ALLUVIUM_DOMAIN is {import_string!r}: write package.module:attribute, such as acme.ledger:domain")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the domain's own code lacks something: that message says it better
        raise DomainError(f"ALLUVIUM_DOMAIN is {import_string!r}: there is no module {error.name!r}; is its directory on PYTHONPATH?") from error
    domain = getattr(module, attribute, None)
    if not isinstance(domain, Domain):
        found = "nothing" if domain is None else f"a {type(domain).__name__}"
        raise DomainError(f"ALLUVIUM_DOMAIN is {import_string!r}: {attribute!r} there is {found}: make it a pipelines.domain.Domain")
    return domain
