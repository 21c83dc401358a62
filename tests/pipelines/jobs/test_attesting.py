from __future__ import annotations

from store import open_store
from tests.pipelines.jobs.conftest import Run, told, why
from tests.pipelines.ledger import deposit


def test_what_the_log_holds_is_attested_and_the_head_told(run: Run, warehouse: str) -> None:
    seen = told(run("attest"), "attest_events")
    with open_store(warehouse) as store:
        [head] = store.audit.heads()
        assert (seen["attested_up_to"], seen["heads"].strip(), seen["deeds"]) == (40, str(head), 0)
    deposit(warehouse, [5])
    again = told(run("attest", attest_events={"by": "ada", "why": "before the audit"}), "attest_events")
    assert again["attested_up_to"] == 42
    with open_store(warehouse) as store:
        assert [proof.sound for proof in store.audit.check(seen["heads"], again["heads"])] == [True]


def test_the_log_tells_of_it_as_an_observation(run: Run) -> None:
    [observed] = run("attest").asset_observations_for_node("attest_events")
    assert observed.asset_key.path == ["events"]
    assert "alluvium-head" in str(observed.metadata["heads"].value)


def test_nobody_is_refused_and_not_tried_again(run: Run) -> None:
    assert "by '' is empty" in why(run("attest", attest_events={"by": ""}))
