"""Retention as a job."""

from __future__ import annotations

from store import open_store
from tests.pipelines.jobs.conftest import Run, steps, told

SAID = {"by": "ann", "why": "policy 7"}


def test_what_is_hidden_goes_and_what_is_closed_is_looked_for(run: Run, warehouse: str) -> None:
    with open_store(warehouse) as store:
        stream = store.sql("select stream_id from events limit 1").fetchall()[0][0]
        count = store.retention.delete(stream, **SAID).hidden
    result = run("retention", remove_hidden=SAID)
    assert (result.success, steps(result)) == (True, {"remove_hidden", "archive_closed"})
    done = told(result, "remove_hidden")
    assert (done["events"], done["streams"]) == (count, 1)
    assert told(result, "archive_closed")["events"] == 0
