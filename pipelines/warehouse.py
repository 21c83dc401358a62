"""The warehouse as a Dagster resource: the log and the read models at one place."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg

from pipelines.domain import Domain
from pipelines.keys import privacy_of
from pipelines.metrics import Observers, TracingObserver, logging_observer
from pipelines.settings import Settings
from projections import Projection, ServingModel
from store import EventStore, open_store


class Warehouse(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A directory or an object-store URI. Credentials come from the environment alone. `executor`: where rebuilds run, as a setting names it."""

    uri: str
    executor: str = "serial"

    def open(self, domain: Domain | None = None) -> EventStore:
        """The event store; close it after use. For a domain with the keys of its personal data, which what reads states and payloads needs."""
        privacy = None if domain is None else privacy_of(domain, replace(Settings.read(), warehouse=self.uri))
        return open_store(self.uri, observer=self.observer(), privacy=privacy)

    def observer(self) -> Observers:
        """Who is told of what a run does: the log, and the tracing that the process was started with, if it was."""
        return Observers(logging_observer(), TracingObserver())

    def model(self, projection: Projection) -> ServingModel:
        """The one that serves, and is to be kept up to date."""
        return ServingModel(self.uri, projection)
