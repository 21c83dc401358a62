"""Where the keys come from, and who gets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.flights.domain import domain as flights
from pipelines.keys import keys_of, privacy_of
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse
from store import KeyTable, load, open_store, rebuild_snapshots
from tests.pipelines.people_domain import domain
from tests.store.privacy.people import people, registered, saved_customers


def test_a_domain_without_personal_data_needs_no_keys(tmp_path: Path) -> None:
    settings = replace(Settings.read({}), warehouse=str(tmp_path))
    assert privacy_of(flights, settings) is None
    assert isinstance(keys_of(settings), KeyTable)
    assert privacy_of(domain, settings) is not None
    assert privacy_of(domain, replace(settings, keys="none")) is None
    assert not list(tmp_path.iterdir())


def test_what_dagster_runs_has_the_keys_where_it_needs_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nowhere else: what projects rows must not see what is personal."""
    with open_store(tmp_path, create=True, privacy=people.privacy(KeyTable(tmp_path))) as store:
        store.append("customer-7", [people.event(registered())])
    warehouse = Warehouse(uri=str(tmp_path))
    with warehouse.open(domain) as store:
        assert load(store, saved_customers, "7").state.name == "Ada Lovelace"
        assert rebuild_snapshots(store, saved_customers) == 1
    with warehouse.open() as store:
        assert load(store, saved_customers, "7").state.name == "[forgotten]"
