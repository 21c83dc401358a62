from __future__ import annotations

import msgspec
import pytest

from store.deciding.states import Known, States, weigh


def known(state: object, version: int = 1, position: int = 1) -> Known:
    return Known(state, version, position, 0.0)


def test_hits_and_misses_are_counted() -> None:
    states = States()
    states.get("a")
    states.put("a", known(1))
    states.get("a")
    assert states.use()[:4] == (1, 1, 0, 1)


def test_the_least_recently_used_go_first() -> None:
    states = States(most_bytes=3 * weigh("x" * 1000))
    for key in "abc":
        states.put(key, known(key * 1000))
    states.get("a")
    states.put("d", known("d" * 1000))
    assert [states.get(key) is not None for key in "abcd"] == [True, False, True, True]
    assert states.use().evicted == 1
    assert states.use().size_bytes <= states.use().most_bytes


def test_a_state_that_grows_is_weighed_again() -> None:
    states = States()
    states.put("a", known("x"))
    before = states.use().size_bytes
    states.put("a", known("x" * 10_000, version=2, position=2))
    assert states.use().size_bytes > before + 9_000


def test_a_newer_state_stays() -> None:
    """Two threads may have loaded at once."""
    states = States()
    states.put("a", known("new", 2, 2))
    states.put("a", known("old", 1, 1))
    assert states.get("a") == known("new", 2, 2)


class Wide(msgspec.Struct, frozen=True):
    parts: tuple[str, ...]


@pytest.mark.parametrize("state", ["x" * 10_000, ["y" * 5_000, "z" * 5_000], {"a": "x" * 10_000}, Wide(("x" * 10_000,))])
def test_all_that_a_state_holds_has_weight(state: object) -> None:
    assert 10_000 < weigh(state) < 12_000


def test_what_a_state_holds_twice_is_weighed_once() -> None:
    shared = "x" * 10_000
    assert weigh([shared, shared]) < 12_000
