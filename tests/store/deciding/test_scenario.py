"""The kit that applications test their decisions with: it must fail when they are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from store import Aggregate, Event, InvalidEventError, RawEvent, UnknownEventTypeError, given, given_many
from tests.store.deciding.account import Account, Deposited, Opened, OverdrawnError, Withdrawn, account, deposit, types, withdraw


def test_what_is_decided_is_compared() -> None:
    given(account, Opened("Ada"), Deposited(10)).when(withdraw(4)).then(Withdrawn(4)).then_state(Account("Ada", 6, 3))


def test_other_events_fail_and_are_shown() -> None:
    with pytest.raises(AssertionError, match=r"expected\n  Withdrawn\(cents=5\)\ndecided\n  Withdrawn\(cents=4\)"):
        given(account, Deposited(10)).when(withdraw(4)).then(Withdrawn(5))
    with pytest.raises(AssertionError):
        given(account).when(deposit(1)).then()
    with pytest.raises(AssertionError):
        given(account).when(lambda state: None).then(Deposited(1))


def test_another_state_fails() -> None:
    with pytest.raises(AssertionError, match="expected the state"):
        given(account).when(deposit(1)).then_state(Account(None, 2, 1))


def test_a_refusal_is_expected_by_class_and_text() -> None:
    refused = given(account, Deposited(10)).when(withdraw(11))
    refused.then_refused(OverdrawnError, "11 of 10")
    with pytest.raises(AssertionError, match="to say '12'"):
        refused.then_refused(OverdrawnError, "12")
    with pytest.raises(OverdrawnError):
        refused.then_refused(KeyError)
    with pytest.raises(OverdrawnError):
        refused.then()


def test_a_missing_refusal_fails() -> None:
    with pytest.raises(AssertionError, match=r"expected OverdrawnError, but these were decided\n  Withdrawn"):
        given(account, Deposited(10)).when(withdraw(1)).then_refused(OverdrawnError)


def test_old_shapes_are_given_raw_or_as_events() -> None:
    old = RawEvent("Deposited", 1, b'{"amount": 0.1}')
    assert given(account, old, Event("Deposited", {"amount": 0.2})).state() == Account(None, 30, 2)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnknownEventTypeError):
        given(account, RawEvent("Frozen", 1, b"{}")).state()
    with pytest.raises(InvalidEventError, match="register it"):
        given(account, object()).state()


def test_each_when_begins_anew() -> None:
    scenario = given(account, Deposited(10))
    scenario.when(withdraw(10)).then(Withdrawn(10))
    scenario.when(withdraw(10)).then(Withdrawn(10))


def test_a_decision_that_changes_the_state_is_found() -> None:
    """It would change what the cache remembers."""

    def evolve(state: dict[str, int], event: Any) -> dict[str, int]:
        return {"cents": state["cents"] + event.cents}

    def careless(state: dict[str, int]) -> Deposited:
        state["cents"] += 1
        return Deposited(1)

    purse = Aggregate(category="purse", initial={"cents": 0}, evolve=evolve, types=types)
    given(purse, Deposited(1)).when(lambda state: Deposited(state["cents"])).then(Deposited(1))
    with pytest.raises(AssertionError, match="a state was changed"):
        given(purse, Deposited(1)).when(careless)


def test_an_evolve_that_changes_the_state_is_found() -> None:
    def careless(state: list[int], event: Any) -> list[int]:
        state.append(event.cents)
        return state

    with pytest.raises(AssertionError, match="a state was changed"):
        given(Aggregate(category="purse", initial=[], evolve=careless, types=types), Deposited(1)).when(deposit(2))


def transfer(cents: int) -> Any:
    return lambda one, two: (withdraw(cents)(one), [Deposited(cents)])


def test_several_aggregates_are_given_each_with_its_history() -> None:
    scenario = given_many((account, [Opened("Ada"), Deposited(10)]), (account, []))
    scenario.when(transfer(4)).then([Withdrawn(4)], [Deposited(4)]).then_state((Account("Ada", 6, 3), Account(None, 4, 1)))
    scenario.when(transfer(11)).then_refused(OverdrawnError, "11 of 10")
    scenario.when(lambda one, two: None).then([], [])
    assert scenario.state() == (Account("Ada", 10, 2), Account())


def test_an_event_of_the_wrong_one_fails() -> None:
    with pytest.raises(AssertionError):
        given_many((account, [Deposited(10)]), (account, [])).when(transfer(4)).then([Deposited(4)], [Withdrawn(4)])


def test_states_that_cannot_be_compared_are_no_changed_states() -> None:
    class Count:
        def __init__(self, events: int = 0) -> None:
            self.events = events

    counted = Aggregate(category="account", initial=Count(), evolve=lambda count, event: Count(count.events + 1), types=types)
    given(counted, Deposited(1)).when(deposit(1)).then(Deposited(1))


def test_an_evolve_that_forgets_to_return_is_told() -> None:
    forgetful = Aggregate(category="account", initial=Account(), evolve=lambda state, event: None, types=types)
    with pytest.raises(InvalidEventError, match=r"gave None as the state after Deposited\(cents=1\)"):
        given(forgetful, Deposited(1)).state()
