from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.domain import Domain, DomainError, load_domain
from pipelines.flights.domain import domain as flights
from projections import streams


def test_a_domain_is_found_by_its_import_string() -> None:
    assert load_domain("pipelines.flights.domain:domain") is flights


@pytest.mark.parametrize(
    ("import_string", "told"),
    [
        ("pipelines.flights.domain", "package.module:attribute"),
        (":domain", "package.module:attribute"),
        ("acme.ledger:domain", "no module 'acme'.*PYTHONPATH"),
        ("pipelines.ledger:domain", "no module 'pipelines.ledger'"),
        ("pipelines.flights.domain:ledger", "nothing"),
        ("pipelines.flights.domain:Domain", "a type"),
    ],
)
def test_what_is_no_domain_is_refused_with_the_remedy(import_string: str, told: str) -> None:
    with pytest.raises(DomainError, match=told):
        load_domain(import_string)


def test_a_domain_that_lacks_something_says_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lacking_domain.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="a_library_nobody_has"):
        load_domain("lacking_domain:domain")


def test_names_of_the_built_in_projections_are_taken() -> None:
    with pytest.raises(DomainError, match="streams, as every warehouse has one"):
        Domain(name="mine", projections=(streams,))


def test_names_of_the_tables_of_every_warehouse_are_taken() -> None:
    with pytest.raises(DomainError, match="metrics, as every warehouse has one"):
        Domain(name="mine", projections=(replace(streams, name="metrics"),))


def test_two_projections_of_one_name_are_refused() -> None:
    with pytest.raises(DomainError, match=flights.projections[0].name):
        Domain(name="twice", projections=(flights.projections[0], flights.projections[0]))
