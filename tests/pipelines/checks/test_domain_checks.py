"""What holds is seen to hold, and each check fails when its truth is broken, telling which rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandera.polars as pandera
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.bounds import Bounds
from pipelines.domain import Domain
from projections import DeadLetters, Park, Projection, ReadModel, ServingModel, catch_up
from store import Event, open_store, rebuild_snapshots
from tests.pipelines import library
from tests.pipelines.checks.conftest import Checked, failing, told
from tests.pipelines.library import BOOK, DAYS, ON_LOAN, READERS, append, lent, loaded
from tests.store.delta.verifying.damage import live, rewrite, with_values


def declared(monkeypatch: pytest.MonkeyPatch, warehouse: Path, domain: Domain) -> dg.Definitions:
    monkeypatch.setattr(library, "domain", domain)
    return loaded(warehouse)


def serving(warehouse: Path, projection: Projection) -> ReadModel:
    return ServingModel(str(warehouse), projection).now()


def test_of_a_warehouse_that_is_well_everything_holds(checked: Checked) -> None:
    for job in ("checks", "checks_in_full"):
        found = checked("catch_up", job)
        assert failing(found) == set()
        assert found.keys() >= {
            "events/order", "events/attested", "events/payloads", "readers/schema", "on_loan/rebuild", "days/lag", "streams/dead_letters",
            "snapshots/book/equals_fold",
        }  # fmt: skip


def test_what_was_never_made_fails_no_check_before_it_is_late(checked: Checked) -> None:
    assert failing(checked("checks")) == set()


@pytest.mark.parametrize("job", ["checks", "checks_in_full"])
def test_a_gap_in_the_log_is_found_and_its_place_told(checked: Checked, warehouse: Path, job: str) -> None:
    with open_store(str(warehouse)) as store:
        store.maintain()
    rewrite(warehouse, live(warehouse)[0], lambda events: events.filter(pc.not_equal(events["position"], 6)))
    verdict = checked(job)["events/order"]
    assert not verdict.passed
    assert "1 stretches of 65,536 positions have gaps" in str(verdict.description)
    assert "| 5 | 7 |" in str(told(verdict, "failing_rows"))
    assert "book-1" in str(told(verdict, "failing_rows"))


def test_an_event_that_cannot_be_read_is_told_until_it_can_be(checked: Checked, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(checked("catch_up", "checks")) == set()
    append(warehouse, "book-9", [Event("Lent", {"reader": 7, "days": 1})])
    append(warehouse, "book-9", [lent("Ada")])
    for _ in range(2):                             # it is looked at again, though the one before said so
        verdict = checked("checks")["events/payloads"]
        assert not verdict.passed
        assert (told(verdict, "failing"), told(verdict, "good_until")) == (1, 12)
        assert "| 13 | book-9 | 1 | Lent |" in str(told(verdict, "failing_rows"))


def test_only_what_is_new_is_looked_at(checked: Checked, warehouse: Path) -> None:
    assert told(checked("checks")["events/payloads"], "events_checked") == 12
    append(warehouse, "book-9", [lent("Ada")])
    again = checked("checks")
    assert [told(again[f"events/{name}"], "events_checked") for name in ("order", "payloads")] == [1, 1]
    assert told(checked("checks_in_full")["events/order"], "events_checked") == 13


def test_what_was_attested_is_looked_at_once_and_in_full(checked: Checked, warehouse: Path) -> None:
    assert told(checked("checks")["events/attested"], "events_checked") == 0
    checked("attest")
    assert [told(checked("checks")["events/attested"], "events_checked") for _ in range(2)] == [12, 0]
    append(warehouse, "book-9", [lent("Ada")])
    checked("attest")
    assert told(checked("checks")["events/attested"], "events_checked") == 2
    assert failing(found := checked("catch_up", "checks", "checks_in_full")) == set()
    assert told(found["events/attested"], "events_checked") == 14


@pytest.mark.parametrize("job", ["checks", "checks_in_full"])
def test_an_event_that_was_changed_since_it_was_attested_is_told(checked: Checked, warehouse: Path, job: str) -> None:
    checked("attest")
    [segment, *_] = live(warehouse)
    rewrite(warehouse, segment, lambda events: with_values(events, "data", {0: '{"reader": "Eve"}'}))
    for _ in range(2):
        verdict = checked(job)["events/attested"]
        assert (verdict.passed, told(verdict, "failing")) == (False, 1)
        assert "positions 1 to 12: what the events say is not what was attested" in str(verdict.description)


@pytest.mark.parametrize("projection", [READERS, ON_LOAN, DAYS], ids=["sql", "handlers", "frame"])
def test_rows_that_differ_from_those_folded_anew_are_told(checked: Checked, warehouse: Path, projection: Projection) -> None:
    checked("catch_up")
    model = serving(warehouse, projection)
    row = model.rows(limit=1).to_pylist()[0]
    wrong = {**row, "reader": "Nobody"} if projection is ON_LOAN else {**row, "loans": 99}
    append(warehouse, "shelf-1", [Event("Dusted", {})])
    model.turn().commit(pa.Table.from_pylist([wrong], projection.columns), 13)
    verdict = checked("checks")[f"{projection.name}/rebuild"]
    assert not verdict.passed
    assert told(verdict, "failing") == 1
    assert ("Nobody" if projection is ON_LOAN else "99") in str(told(verdict, "failing_rows"))


def test_rows_that_break_a_schema_of_the_domain_are_told(checked: Checked, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few_loans() -> pandera.DataFrameSchema:
        return pandera.DataFrameSchema({"loans": pandera.Column(int, pandera.Check.less_than(5))})

    defs = declared(monkeypatch, warehouse, replace(library.domain, schemas={"readers": few_loans}))
    assert failing(checked("catch_up", "checks", of=defs)) == set()
    append(warehouse, "book-5", [lent("reader 1")])
    verdict = checked("catch_up", "checks", of=defs)["readers/own_schema"]
    assert (verdict.passed, verdict.description, told(verdict, "failing")) == (False, "1 rows break the schema", 1)
    assert "reader 1" in str(told(verdict, "failing_rows"))
    assert "loans less" in str(told(verdict, "failing_rows")).replace("\\", "").replace("_", " ")


def test_snapshots_of_other_code_are_told_with_both_states(checked: Checked, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(str(warehouse)) as store:
        rebuild_snapshots(store, BOOK)
    assert failing(checked("catch_up", "checks")) == set()
    changed = replace(BOOK, evolve=lambda days, event: days + 1)
    verdict = checked("checks", of=declared(monkeypatch, warehouse, replace(library.domain, aggregates=(changed,))))["snapshots/book/equals_fold"]
    assert not verdict.passed
    assert told(verdict, "failing") == 4
    assert "| book-0 | 3 | 15 | 3 |" in str(told(verdict, "failing_rows"))


def test_parked_events_are_told(checked: Checked, warehouse: Path) -> None:
    append(warehouse, "book-9", [Event("Lent", {"reader": 7, "days": 1}), lent("Ada")])
    with open_store(str(warehouse)) as store:
        catch_up(store, ServingModel(str(warehouse), ON_LOAN), failing=Park(DeadLetters(str(warehouse))))
    verdict = checked("checks")["on_loan/dead_letters"]
    assert not verdict.passed
    assert "parked: 2 events of 1 stream;" in str(verdict.description)
    assert "| 13 | book-9 | 1 | Lent |" in str(told(verdict, "failing_rows"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A warehouse whose events were recorded half an hour ago."""
    then = datetime.now(UTC) - timedelta(minutes=30)
    with open_store(str(tmp_path), create=True, clock=lambda: int(then.timestamp() * 1e6)) as store:
        store.append("book-1", [lent("Ada")])
    return tmp_path


@pytest.mark.parametrize(("late", "too_late", "severity"), [(60, 120, None), (10, 60, "WARN"), (2, 20, "ERROR")])
def test_a_read_model_that_is_late_is_told_by_its_bounds(
    old: Path, checked: Checked, monkeypatch: pytest.MonkeyPatch, late: int, too_late: int, severity: str | None
) -> None:
    bounds = Bounds(late=timedelta(minutes=late), too_late=timedelta(minutes=too_late))
    verdict = checked("checks", of=declared(monkeypatch, old, replace(library.domain, bounds=bounds)))["readers/lag"]
    assert verdict.passed is (severity is None)
    if severity:
        assert verdict.severity.name == severity
        assert "the first one for 0:30" in str(verdict.description)


def test_a_halted_read_model_is_late_at_once(checked: Checked, warehouse: Path) -> None:
    checked("catch_up")
    serving(warehouse, READERS).pause("a look")
    append(warehouse, "book-1", [lent("Ada")])
    verdict = checked("checks")["readers/lag"]
    assert (verdict.passed, verdict.severity.name) == (False, "WARN")
    assert "paused: a look" in str(verdict.description)
