"""What Dagster is told: it keeps it for longer than anybody's keys, so nothing personal is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pydantic
import pytest

from pipelines.definitions import definitions
from pipelines.domain import Domain
from pipelines.settings import Settings
from store import EventType, EventTypes, KeyTable, Personal, open_store, snapshot
from tests.pipelines import people_domain
from tests.store.privacy.people import SECRETS, Customer, people, registered, saved_customers


class Strict(pydantic.BaseModel):
    """Takes no name of an Ada, and says so."""

    customer: str
    name: str

    @pydantic.field_validator("name")
    @classmethod
    def no_ada(cls, name: str) -> str:
        if name.startswith("Ada"):
            raise ValueError(f"no {name}")
        return name


strict = EventTypes(EventType("Registered", Strict, personal=Personal({"name": "[forgotten]"}, subject="customer")))


def failing(customer: Customer, event: Any) -> Customer:
    raise RuntimeError(f"nobody knows {event.name}")


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered())])
        snapshot(store, saved_customers, "7")
    return tmp_path


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(instance: dg.DagsterInstance, warehouse: Path, job: str) -> tuple[dg.ExecuteInProcessResult, str]:
    """What came of it, and all that Dagster keeps of it."""
    of = definitions(Settings.read({"ALLUVIUM_WAREHOUSE": str(warehouse), "ALLUVIUM_DOMAIN": "tests.pipelines.people_domain:domain"}))
    result = of.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
    return result, "".join(dg.serialize_value(entry) for entry in instance.all_logs(result.run_id))


def declared(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    domain = Domain(name="people", projections=(), event_types=people, aggregates=(saved_customers,))
    monkeypatch.setattr(people_domain, "domain", replace(domain, **changed))


def test_checks_tell_fields_and_kinds_of_errors(warehouse: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an event that does not fit its class, and of a snapshot that says something else than the events."""
    other = replace(saved_customers, evolve=lambda customer, event: replace(customer, name=f"{event.name}!", plan=event.plan))
    declared(monkeypatch, event_types=strict, aggregates=(other,))
    result, kept = run(instance, warehouse, "checks")
    found = {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}
    assert "data.name does not fit its class (ValidationError)" in str(found["payloads"].metadata["failing_rows"].value).replace("\\", "")
    assert "born, name, names" in str(found["equals_fold"].metadata["failing_rows"].value)
    assert not [secret for secret in (*SECRETS, "Ada") if secret in kept]


@pytest.mark.parametrize("job", ["checks", "rebuild_snapshots"])
def test_an_error_of_the_application_is_told_by_its_class(
    warehouse: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    declared(monkeypatch, aggregates=(replace(saved_customers, evolve=failing),))
    _, kept = run(instance, warehouse, job)
    assert "RuntimeError (what it says is not shown" in kept
    assert not [secret for secret in (*SECRETS, "Ada") if secret in kept]


def test_an_unreadable_event_ends_a_job_by_its_outline(warehouse: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    declared(monkeypatch, event_types=strict, aggregates=(replace(saved_customers, types=strict),))
    _, kept = run(instance, warehouse, "rebuild_snapshots")
    assert "data.name does not fit its class (ValidationError)" in kept
    assert not [secret for secret in (*SECRETS, "Ada") if secret in kept]
