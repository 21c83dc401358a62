"""Half a minute of it; `make chaos` goes on for longer, with more processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import object_store, storm
from tests.chaos.verdict import judge

SECONDS = 15.0
"""How many rounds begin in them depends on the machine."""
ABSENT = ["append-2", "race-4", "decide-6", "rebuild-11"]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [3])
def test_others_go_on_and_all_laws_hold_whoever_dies_stops_or_is_cut_off(
    seed: int, s3_environment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others go on: a round ends when they have, and not before."""
    with object_store() as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with storm(endpoint, tmp_path, seed, SECONDS, without=ABSENT) as raged:
            assert judge(raged) > 0
    assert all(actor.told or actor.role == "follow" for actor in raged.actors.values())
