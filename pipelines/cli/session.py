"""What every command is run with: which warehouse, which domain, and whom it answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Final

from cyclopts import Group, Parameter

from pipelines.cli.answer import Answer
from pipelines.domain import Domain, load_domain
from pipelines.grants import Granted, GrantsError, grant_named, read_grants
from pipelines.keys import privacy_of
from pipelines.settings import Settings
from projections import Projection, WarehouseSql
from store import Contract, EventStore, Grant, Privacy, open_store

_EVERYWHERE: Final = Group("Everywhere", sort_key=9)


@Parameter(name="*", group=_EVERYWHERE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Settings come from the environment where the command line says nothing."""

    warehouse: Annotated[
        str | None, Parameter(name=("--warehouse", "-w"), help="A directory or an object-store URI. [ALLUVIUM_WAREHOUSE, ./warehouse]")
    ] = None
    domain: Annotated[
        str | None, Parameter(name=("--domain", "-d"), help="Its import string, such as acme.ledger:domain. [ALLUVIUM_DOMAIN, the flights]")
    ] = None
    json: Annotated[bool, Parameter(help="Answer in JSON, one object a line, for programs.")] = False

    @property
    def settings(self) -> Settings:
        read = Settings.read()
        return replace(read, warehouse=self.warehouse or read.warehouse, domain=self.domain or read.domain)

    @property
    def uri(self) -> str:
        return self.settings.warehouse

    @property
    def answer(self) -> Answer:
        return Answer(self.json)

    def open(self, create: bool = False, contract: Contract | None = None) -> EventStore:
        """The event store of the warehouse, with the keys that the settings know of; close it after use."""
        return open_store(self.uri, create, contract=contract, privacy=self.privacy())

    def privacy(self) -> Privacy | None:
        return privacy_of(self.the_domain(), self.settings)

    @contextmanager
    def asked(self) -> Iterator[WarehouseSql]:
        """SQL over the warehouse, with the read models of the domain."""
        with self.open() as store, WarehouseSql(store, self.uri, self.the_domain().projections) as warehouse:
            yield warehouse

    def grants(self) -> Mapping[str, Granted] | None:
        """Those of the settings; None where none are set."""
        return None if (path := self.settings.grants) is None else read_grants(path)

    def grant(self, name: str) -> Grant:
        """GrantsError: there is none of that name."""
        if (path := self.settings.grants) is None:
            raise GrantsError(f"there is no grant {name!r}, as ALLUVIUM_GRANTS is not set: set it to the file that names the grants")
        return grant_named(path, name)

    def the_domain(self) -> Domain:
        """Modules are looked for where the command is called, too, as `python -m` does."""
        if (here := os.getcwd()) not in sys.path:
            sys.path.insert(0, here)
        return load_domain(self.settings.domain)

    def projections(self, names: Sequence[str] = ()) -> list[Projection]:
        """As the domain names them."""
        return self.the_domain().named(names)

    def projection(self, name: str) -> Projection:
        return self.projections([name])[0]


HERE: Final = Session()
"""Nothing but the settings of the environment."""
