"""What a policy may say, and when it asks for a snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from store import InvalidEventError, SnapshotPolicy
from store.deciding.states import Known


@pytest.mark.parametrize("field", ["every_events", "slow_load_ms", "every_bytes", "keep"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", True])
def test_a_policy_of_nothing_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError) as raised:
        SnapshotPolicy(**{field: value})
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("field", "value"), [("every_events", 1.5), ("every_bytes", 1e6), ("keep", 1.5), ("keep", None), ("keep", 2**31), ("when", 5)]
)
def test_what_no_snapshot_could_be_saved_by_is_refused(field: str, value: Any) -> None:
    """Here, where it was written, not when the first snapshot is taken."""
    with pytest.raises(InvalidEventError) as raised:
        SnapshotPolicy(**{field: value})
    assert raised.value.field == field


def test_all_that_is_meant_is_accepted() -> None:
    SnapshotPolicy(every_events=1, slow_load_ms=0.5, every_bytes=1, when=bool, keep=2**31 - 1)
    SnapshotPolicy(every_events=None, slow_load_ms=20, every_bytes=None, when=None)


def test_a_stream_without_events_is_never_saved() -> None:
    """Not even in place of a snapshot that was left behind by another log."""
    assert not SnapshotPolicy(every_events=1).asks(Known(None, 0, 0, 0.0, saved_at=-1), 0.0)
