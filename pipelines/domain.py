"""A domain: everything of one business that the warehouse runs, as one explicit value found by an import string."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from projections import BUILT_IN, Projection
from store import Aggregate, EventTypes


class DomainError(Exception):
    """The domain cannot be had. The message says what to set or to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """`name` groups the domain's assets. Each projection has a name of its own.

    `event_types`: by which payloads are checked. `aggregates`: whose snapshots are built and checked, those with a policy.
    `owners`: of its assets, e-mail addresses or `team:name`.
    """

    name: str
    projections: tuple[Projection, ...]
    event_types: EventTypes = field(default_factory=EventTypes)
    aggregates: tuple[Aggregate[Any], ...] = ()
    owners: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [projection.name for projection in self.projections]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise DomainError(f"domain {self.name!r} has more than one projection called {', '.join(sorted(repeated))}: give each its own name")
        if taken := {projection.name for projection in BUILT_IN} & set(names):
            raise DomainError(f"domain {self.name!r} calls a projection {', '.join(sorted(taken))}, as every warehouse has one: give it another name")


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
