from __future__ import annotations

from datetime import timedelta

import pytest

from pipelines.bounds import Bounds


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"late": timedelta(hours=2)}, "late is 2:00:00, too_late is 1:00:00"),
        ({"unseen": timedelta(seconds=1)}, "unseen is 0:00:01"),
        ({"behind_events": 0}, "behind_events is 0"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_with_the_remedy(given: dict[str, timedelta], told: str) -> None:
    with pytest.raises(ValueError, match=f"{told}.*give"):
        Bounds(**given)  # type: ignore[arg-type]
