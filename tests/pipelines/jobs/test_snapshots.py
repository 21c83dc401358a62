from __future__ import annotations

from store import open_store
from tests.pipelines.jobs.conftest import Run, told, why
from tests.pipelines.ledger import ACCOUNT


def test_all_states_are_folded_and_saved_anew(run: Run, warehouse: str) -> None:
    assert told(run("rebuild_snapshots"), "save_all") == {"snapshots": 10, "of": {"account": 10}}
    with open_store(warehouse) as store:
        [saved] = store.snapshots.newest(ACCOUNT.name, "account-1")[:1]
    assert (saved.version, saved.stream_id) == (4, "account-1")


def test_an_aggregate_that_nobody_has_is_refused_with_those_that_there_are(run: Run) -> None:
    assert why(run("rebuild_snapshots", save_all={"aggregates": ["ship"]})) == "no aggregate ship has a policy for snapshots: take some of account"
