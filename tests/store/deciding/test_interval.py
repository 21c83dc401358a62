from __future__ import annotations

import pytest

from store import EventStore, InvalidEventError, load, recommend_interval
from store.deciding.interval import interval
from store.observer import Reconstructed
from tests.store.deciding.account import Deposited, account, types


def loads(base_ms: float, event_us: float, remembered: bool = False) -> list[Reconstructed]:
    """What loads of 0 to 1,900 events took, on a machine without noise."""
    return [
        Reconstructed("account", f"account-{n}", n, n, remembered, base_ms / 1e3 + n * event_us / 1e6, None) for n in range(0, 2_000, 100)
    ]


def test_it_is_as_long_as_the_target_allows() -> None:
    found = interval(loads(2, 4), 10_000, target_ms=10)
    assert found.every_events == pytest.approx(2_000, abs=1)
    assert found.load_ms(2_000) == pytest.approx(10)


def test_short_streams_need_none() -> None:
    assert interval(loads(2, 4), 2_000, target_ms=10).every_events is None


def test_loads_from_memory_tell_nothing() -> None:
    with pytest.raises(InvalidEventError, match="are too few"):
        interval(loads(2, 4, remembered=True), 10, target_ms=10)


@pytest.mark.parametrize("seen", [loads(2, 4)[:5], loads(2, 4)[:1] * 20])
def test_few_loads_or_all_of_one_length_tell_nothing(seen: list[Reconstructed]) -> None:
    with pytest.raises(InvalidEventError, match="short and long ones"):
        interval(seen, 10, target_ms=10)


def test_a_target_below_what_a_load_takes_at_least_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="ask for a larger one"):
        interval(loads(20, 4), 10_000, target_ms=10)


def test_noise_gives_no_nonsense() -> None:
    """Longer loads that were quicker by chance."""
    assert interval(loads(2, -0.1), 10, target_ms=10).event_us > 0


def test_the_loads_of_a_store_are_what_it_learns_from(store: EventStore) -> None:
    store.append("accounts", [types.event(Deposited(1)) for _ in range(50)])   # of no category of ours, though it begins alike
    for number in range(20):
        store.append(f"account-{number}", [types.event(Deposited(1)) for _ in range(1 + number)])
        load(store, account, str(number))
    found = recommend_interval(store, account, target_ms=60_000)
    assert (found.every_events, found.longest) == (None, 20)
    assert found.event_us > 0
