from __future__ import annotations

from dataclasses import replace
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from pipelines import trying
from pipelines.jobs import rebuild as module
from pipelines.jobs.rebuild import ShardsLogged
from projections import Applied, Builds, Declined, Folded, Made, Projection, ReadModel, ServingModel, Sql, fingerprint, make_build
from projections.models import leases
from projections.models.leases import Leases
from store import EventStore, open_store
from tests.pipelines import ledger
from tests.pipelines.jobs.conftest import Run, steps, told, why
from tests.pipelines.ledger import BALANCES, NAMES, OWNERS, deposit, loaded

DOUBLE = replace(BALANCES, form=Sql(BALANCES.form.select.replace("::bigint", "::bigint * 2"), {"total": "sum"}))  # type: ignore[attr-defined]


def declared(monkeypatch: pytest.MonkeyPatch, warehouse: str, *projections: Projection) -> dg.Definitions:
    """As Dagster loads it after the domain's code has changed."""
    monkeypatch.setattr(ledger, "domain", replace(ledger.domain, projections=projections))
    return loaded(warehouse)


def rows(warehouse: str, projection: Projection) -> list[dict[str, Any]]:
    return list(ServingModel(warehouse, projection).rows().to_pylist())


def states(warehouse: str, projection: Projection) -> dict[str, str]:
    return {build.build: build.state for build in Builds(warehouse).of(projection)}


def test_nothing_is_rebuilt_that_does_not_need_it(run: Run, warehouse: str) -> None:
    run("catch_up")
    result = run("rebuild")
    assert (result.success, steps(result)) == (True, {"choose"})


def test_what_needs_it_is_made_anew_checked_and_switched_to(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    before = rows(warehouse, BALANCES)
    result = run("rebuild", declared(monkeypatch, warehouse, DOUBLE, OWNERS))
    assert result.success
    assert steps(result) == {"choose", "make[balances]", "check[balances]", "switch[balances]"}
    assert states(warehouse, DOUBLE) == {"v1": "kept", "v1-2": "serving"}
    assert rows(warehouse, DOUBLE) == [{**row, "total": row["total"] * 2} for row in before]
    made, checked = told(result, "make[balances]"), told(result, "check[balances]")
    assert (made["build"], made["checkpoint"], made["events"]) == ("v1-2", 40, 40)
    assert {name: checked[name] for name in ("rows", "serving_rows", "added", "removed", "changed", "same")} == {
        "rows": 10, "serving_rows": 10, "added": 0, "removed": 0, "changed": 10, "same": 0,
    }  # fmt: skip
    assert checked["folded_anew"] == "40 events of the streams in h"
    assert "account-0 | 60 → 120 |" in checked["differences"]
    assert told(result, "switch[balances]") == {"serving": "v1-2", "before": "v1"}


def test_all_are_rebuilt_where_the_configuration_says_so(run: Run, warehouse: str) -> None:
    run("catch_up")
    result = run("rebuild", choose={"every": True})
    assert {step for step in steps(result) if step.startswith("switch")} == {f"switch[{name}]" for name in NAMES}
    assert states(warehouse, OWNERS) == {"v1": "kept", "v1-2": "serving"}


def test_those_that_are_named_are_rebuilt_also_for_the_first_time(run: Run, warehouse: str) -> None:
    result = run("rebuild", choose={"projections": ["owners"]})
    assert (result.success, states(warehouse, OWNERS), states(warehouse, BALANCES)) == (True, {"v1": "serving"}, {})


@pytest.mark.parametrize(("job", "op"), [("rebuild", "choose"), ("promote", "choose_made"), ("roll_back", "serve_the_one_before")])
def test_a_name_that_nobody_has_is_refused_with_those_that_there_are(run: Run, job: str, op: str) -> None:
    result = run(job, **{op: {"projections": ["balance"]}})
    assert why(result) == "there is no projection 'balance': take some of balances, owners, streams, event_types"


def test_a_build_without_rows_does_not_serve_in_place_of_one_that_has_some(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    nothing = replace(BALANCES, types=("Renamed",))
    defs = declared(monkeypatch, warehouse, nothing, OWNERS)
    result = run("rebuild", defs)
    assert "v1-2 of balances must not serve, and what serves goes on: it has no rows, and what serves has 10" in why(result)
    assert (steps(result), states(warehouse, nothing)) == ({"choose", "make[balances]"}, {"v1": "serving", "v1-2": "making"})
    assert told(result, "check[balances]")["removed"] == 10
    assert run("promote", defs, check={"may_be_empty": True}).success
    assert states(warehouse, nothing) == {"v1": "kept", "v1-2": "serving"}


@pytest.mark.parametrize("projection", [BALANCES, OWNERS], ids=["by_stream", "not_by_stream"])
def test_a_build_with_wrong_rows_does_not_serve_and_they_are_told(run: Run, warehouse: str, projection: Projection) -> None:
    run("catch_up")
    builds = Builds(warehouse)
    model = ReadModel(builds.uri(projection.name, builds.begin(projection).build), projection)
    column = projection.key[0]
    model.turn().commit(pa.Table.from_pylist([{column: "account-1" if column == "account" else "owner 1", "total": -1}], projection.columns), 40)
    result = run("promote")
    assert f"v1-2 of {projection.name} must not serve" in why(result)
    assert "rows differ from those of the same events folded anew" in why(result)
    assert "-1" in told(result, f"check[{projection.name}]")["wrong_rows"]
    assert states(warehouse, projection)["v1"] == "serving"


def test_one_that_fails_its_check_does_not_stop_the_others(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    result = run("rebuild", declared(monkeypatch, warehouse, replace(BALANCES, types=("Renamed",)), OWNERS), choose={"every": True})
    assert {step for step in steps(result) if step.startswith("switch")} == {f"switch[{name}]" for name in NAMES - {"balances"}}


def test_an_event_that_cannot_be_applied_is_not_tried_again_and_what_serves_goes_on(run: Run, warehouse: str) -> None:
    run("catch_up")
    deposit(warehouse, [666])
    result = run("rebuild", choose={"projections": ["owners"]})
    assert "failed on the event at position 41" in why(result)
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert len(rows(warehouse, OWNERS)) == 3


def test_a_part_of_the_streams_is_compared_where_the_log_is_long(run: Run, warehouse: str) -> None:
    run("catch_up")
    result = run("rebuild", choose={"every": True}, check={"most_events": 3})
    assert told(result, "check[balances]")["folded_anew"].endswith("events of the streams in h8")
    assert told(result, "check[owners]")["folded_anew"] == "not compared: 40 events are more than 3"


def test_a_roll_back_stays_until_the_code_changes_or_somebody_asks(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    before = rows(warehouse, BALANCES)
    defs = declared(monkeypatch, warehouse, DOUBLE, OWNERS)
    run("rebuild", defs)
    result = run("roll_back", defs, serve_the_one_before={"projections": ["balances"]})
    assert told(result, "serve_the_one_before") == {"serving": {"balances": "v1"}}
    assert rows(warehouse, DOUBLE) == before
    assert steps(run("rebuild", defs)) == {"choose"}
    assert "switch[balances]" in steps(run("rebuild", defs, choose={"projections": ["balances"]}))


def test_what_cannot_be_rolled_back_says_why(run: Run) -> None:
    run("catch_up")
    assert "no earlier build is kept" in why(run("roll_back", serve_the_one_before={"projections": ["balances"]}))


def test_events_that_land_during_a_rebuild_are_in_it_before_it_serves(run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run("catch_up")
    from pipelines.jobs import rebuild as module

    def checked(store: EventStore, *given: Any) -> Any:
        deposit(warehouse, [7])
        return check(store, *given)

    check = module.check_build
    monkeypatch.setattr(module, "check_build", checked)
    run("rebuild", choose={"projections": ["balances"]})
    run("catch_up")
    with open_store(warehouse) as store:
        assert ServingModel(warehouse, BALANCES).checkpoint() == store.head() == 41


def test_a_rebuild_on_sail_serves_the_same_rows(run: Run, warehouse: str) -> None:
    pytest.importorskip("pysail.flight")
    run("catch_up")
    before = rows(warehouse, BALANCES)
    result = run("rebuild", loaded(warehouse, executor="sail"), choose={"projections": ["balances"]})
    assert "switch[balances]" in steps(result)
    assert rows(warehouse, BALANCES) == before


def test_a_build_that_a_killed_process_elsewhere_was_making_is_made_once_its_lease_is_over(
    run: Run, warehouse: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = list[str]()

    def leased_at_first(*given: Any, **more: Any) -> Made:
        tries.append("again" if tries else "first")
        if tries == ["first"]:
            with monkeypatch.context() as elsewhere, Leases(warehouse).held("balances"):
                elsewhere.setattr(leases.socket, "gethostname", lambda: "elsewhere")
                return make_build(*given, **more)
        return make_build(*given, **more)

    monkeypatch.setattr(trying, "LEASE_WAIT_S", 0.01)
    monkeypatch.setattr(module, "make_build", leased_at_first)
    result = run("rebuild", choose={"projections": ["balances"]})
    assert (result.success, tries) == (True, ["first", "again"])
    assert states(warehouse, BALANCES) == {"v1": "serving"}


def test_the_code_is_known_by_what_it_does(warehouse: str) -> None:
    assert fingerprint(DOUBLE) != fingerprint(BALANCES)


def test_the_run_tells_of_each_task_that_is_done() -> None:
    class Log(list[str]):
        info = warning = list.append

    log = Log()
    told = ShardsLogged(log)  # type: ignore[arg-type]
    told.record(Applied("owners", 1, 1, 1, 1, 0.1))
    told.record(Folded("owners", ("h0", "h8"), 0, 9_000, 4_500, 12, 3, 4, 1.25))
    told.record(Declined("owners", "sail", "a key is null"))
    assert log == [
        "task 3 of 4, shards h0, h8: 4,500 events gave 12 rows in 1.2 s",
        "sail did not make the rows of owners, which are made here: a key is null",
    ]
