"""Decisions become events on the newest state, whoever else decides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from store import (
    NO_STREAM,
    Aggregate,
    Append,
    Appended,
    Boundary,
    ContentionError,
    Event,
    EventStore,
    InvalidEventError,
    MemoryEventStore,
    NestedDecisionError,
    OutcomeUnknownError,
    Query,
    RecordedEvent,
    SnapshotPolicy,
    StoreClosedError,
    UnknownEventTypeError,
    correlated,
    load,
    load_many,
    transact,
    transact_many,
)
from store.deciding.batch import Batch
from store.deciding.states import Known
from store.draft import Draft
from tests.store.deciding.account import Account, Deposited, Opened, OverdrawnError, Withdrawn, account, deposit, types, withdraw
from tests.store.deciding.together import append_elsewhere, together
from tests.store.facts import at_once, table


@pytest.fixture(autouse=True)
def funded(store: EventStore) -> None:
    store.append("account-1", [types.event(Opened("Ada")), types.event(Deposited(100))], expected_version=NO_STREAM)
    return


def recorded(store: EventStore, stream_id: str = "account-1") -> list[RecordedEvent]:
    return list(RecordedEvent.each(store.read_stream(stream_id)))


def test_what_is_decided_is_appended(store: EventStore) -> None:
    done = transact(store, account, "1", withdraw(30))
    assert (done.state, done.version, done.attempts) == (Account("Ada", 70, 3), 3, 1)
    assert done.appended["account-1"] == (3, 3, 3, 3)
    assert load(store, account, "1").state == Account("Ada", 70, 3)


def test_a_new_stream_begins_with_the_initial_state(store: EventStore) -> None:
    done = transact(store, account, "2", lambda state: [Opened("Bob"), Deposited(5)])
    assert (done.state, done.version) == (Account("Bob", 5, 2), 2)


def test_what_decide_raises_is_raised_and_nothing_is_appended(store: EventStore) -> None:
    with pytest.raises(OverdrawnError, match="101 of 100"):
        transact(store, account, "1", withdraw(101))
    assert store.head() == 2


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_deciding_on_nothing_appends_nothing(store: EventStore, nothing: object) -> None:
    done = transact(store, account, "1", lambda state: nothing)
    assert (done.appended, done.version, done.state.cents, store.head()) == ({}, 2, 100, 2)


def test_events_may_be_made_or_of_registered_types(store: EventStore) -> None:
    transact(store, account, "1", lambda state: [Event("Deposited", {"cents": 1}, schema_version=2), Deposited(2)])
    assert load(store, account, "1").state.cents == 103


def test_errors_name_the_stream(store: EventStore) -> None:
    store.append("account-2", [Event("Odd", {})])
    for work in (lambda: load(store, account, "2"), lambda: load_many(store, account, ["2"]), lambda: transact(store, account, "2", deposit(1))):
        with pytest.raises(UnknownEventTypeError) as refused:
            work()
        assert refused.value.stream_id == "account-2"
    with pytest.raises(InvalidEventError) as invalid:
        transact(store, account, "1", lambda state: [Event("", {})])
    assert invalid.value.stream_id == "account-1"


def test_an_event_that_cannot_be_is_refused_with_its_correlation_id(store: EventStore) -> None:
    with correlated("order-7"), pytest.raises(InvalidEventError, match=r"correlation_id=order-7"):
        transact(store, account, "1", lambda state: [Event("", {})])
    assert store.head() == 2


def test_a_conflict_is_decided_again_on_the_newer_state(store: EventStore) -> None:
    seen = []

    def decide(state: Account) -> list[Withdrawn]:
        seen.append(state.cents)
        if len(seen) == 1:
            append_elsewhere(store, "account-1", [types.event(Deposited(11))])
        return [Withdrawn(state.cents)]

    done = transact(store, account, "1", decide)
    assert (seen, done.attempts, done.state.cents) == ([100, 111], 2, 0)


def test_who_is_never_first_gives_up_and_tells_both_versions(store: EventStore) -> None:
    def decide(state: Account) -> list[Withdrawn]:
        append_elsewhere(store, "account-1", [types.event(Deposited(1))])
        return [Withdrawn(1)]

    with correlated("order-7"), pytest.raises(ContentionError, match=r"is at version 3, expected 2.*order-7") as gave_up:
        transact(store, account, "1", decide, patience_s=0)
    assert (gave_up.value.stream_id, gave_up.value.expected, gave_up.value.actual, gave_up.value.attempts) == ("account-1", 2, 3, 1)


def test_threads_that_withdraw_at_once_lose_no_update_and_never_overdraw(store: EventStore) -> None:
    outcomes = at_once(16, lambda number: _outcome(store))
    assert sorted(outcomes) == ["refused"] * 6 + ["withdrawn"] * 10
    assert load(store, account, "1").state.cents == 0


def _outcome(store: EventStore) -> str:
    try:
        transact(store, account, "1", withdraw(10))
    except OverdrawnError:
        return "refused"
    return "withdrawn"


def test_decisions_that_wait_share_a_commit_and_see_one_another(store: EventStore) -> None:
    """While the first one decides, the others queue up behind it."""
    entered, go_on = threading.Event(), threading.Event()

    def first(state: Account) -> Deposited:
        entered.set()
        go_on.wait(10)
        return Deposited(1)

    seen = []

    def later(state: Account) -> Deposited:
        seen.append(state.cents)
        return Deposited(1)

    with ThreadPoolExecutor(9) as pool:
        one = pool.submit(transact, store, account, "1", first)
        entered.wait(10)
        rest = [pool.submit(transact, store, account, "1", later) for _ in range(8)]
        line = store.deciding.decider._lines._lines[account, "account-1"]
        while len(line._waiting) < 8:
            pass
        go_on.set()
        done = [future.result() for future in (one, *rest)]
    assert seen == list(range(101, 109))
    assert sorted(transacted.version for transacted in done) == list(range(3, 12))
    assert sorted(transacted.state.cents for transacted in done) == list(range(101, 110))
    together = [event.recorded_at for event in recorded(store)][3:]
    assert len(set(together)) == 1


def test_a_refusal_of_one_leaves_its_neighbours_alone(store: EventStore) -> None:
    outcomes = at_once(8, lambda number: _outcome_of(store, number))
    assert outcomes.count("broken") == 4
    assert load(store, account, "1").state.cents == 104


def _outcome_of(store: EventStore, number: int) -> str:
    def decide(state: Account) -> Deposited:
        if number % 2:
            raise KeyError(number)
        return Deposited(1)

    try:
        transact(store, account, "1", decide)
    except KeyError:
        return "broken"
    return "done"


def test_who_exits_exits_alone(store: EventStore) -> None:
    """SystemExit is no Exception, and it is decided on whichever thread leads."""

    def leave(state: Account) -> None:
        raise SystemExit(3)

    outcomes = together(store, (account, "account-1"), partial(transact, store, account, "1"), [deposit(1), leave, deposit(2)])
    assert [type(outcome.exception()) for outcome in outcomes] == [type(None), SystemExit, type(None)]
    assert load(store, account, "1").state.cents == 103


def test_a_refusal_that_counts_as_false_is_raised_too(store: EventStore) -> None:
    class EmptyError(Exception):
        def __len__(self) -> int:
            return 0

    def refuse(state: Account) -> None:
        raise EmptyError

    with pytest.raises(EmptyError):
        transact(store, account, "1", refuse)


@pytest.mark.parametrize("patience_s", [-1, None, "1", float("nan")])
def test_patience_is_a_time_span(store: EventStore, patience_s: Any) -> None:
    with pytest.raises(InvalidEventError, match="no time span"):
        transact(store, account, "1", deposit(1), patience_s=patience_s)


async def deposit_later(state: Account) -> Deposited:
    return Deposited(1)


@pytest.mark.parametrize(("decide", "told"), [
    (lambda state: 5, "class int, which is no event"),
    (lambda state: {"account-1": [Deposited(1)]}, "class dict, which is no event"),
    (lambda state: object(), "registered types"),
    (lambda state: (Deposited(cents) for cents in (1, 2)), "a list of them"),
    (deposit_later, "must not be async"),
])  # fmt: skip
def test_what_is_no_event_is_refused_with_the_remedy(store: EventStore, decide: Callable[[Account], object], told: str) -> None:
    with pytest.raises(InvalidEventError, match=told):
        transact(store, account, "1", decide)
    assert store.head() == 2


def test_every_decision_has_its_own_correlation_id(store: EventStore) -> None:
    def work(number: int) -> None:
        with correlated(f"order-{number}"):
            transact(store, account, "1", deposit(1))

    at_once(8, work)
    assert sorted(event.correlation_id or "" for event in recorded(store)[2:]) == [f"order-{number}" for number in range(8)]


def test_a_decision_without_a_correlation_begins_one(store: EventStore) -> None:
    done = transact(store, account, "1", deposit(1))
    assert recorded(store)[-1].correlation_id == done.correlation_id


def test_the_same_command_twice_at_once_is_decided_one_after_the_other(store: EventStore) -> None:
    """Both make an event with the same id: the second must see the first as a fact."""
    event = types.event(Deposited(5))

    def once(state: Account) -> list[Event]:
        return [] if state.cents == 105 else [event]

    done = at_once(8, lambda number: transact(store, account, "1", once))
    assert sum(bool(transacted.appended) for transacted in done) == 1
    assert load(store, account, "1").state.cents == 105


@pytest.mark.parametrize("id", ["1", "2"])
def test_a_decision_within_a_decision_is_refused(store: EventStore, id: str) -> None:
    """It would wait for itself, or two such for each other."""
    with pytest.raises(NestedDecisionError, match="transact_many"):
        transact(store, account, "1", lambda state: transact(store, account, id, deposit(1)) and None)
    assert store.head() == 2


def test_an_append_within_a_decision_is_refused(store: EventStore) -> None:
    """It would be made again each time that it is decided."""
    inside = [
        lambda: store.append("log", [Event("Seen", {})]),
        lambda: store.append_many([Append("log", [Event("Seen", {})])]),
        lambda: store.append_table(table()),
        lambda: asyncio.run(store.aio.append("log", [Event("Seen", {})])),
    ]
    for append in inside:
        with pytest.raises(NestedDecisionError, match="return the events"):
            transact(store, account, "1", lambda state: append() and None)  # noqa: B023
    assert store.head() == 2


def test_everyone_in_line_has_patience_of_their_own(store: EventStore) -> None:
    """The one that leads is impatient; the one that waits behind it is not, and goes on alone."""
    entered, go_on, conflicts = threading.Event(), threading.Event(), iter([True, False])

    def decide(state: Account) -> Withdrawn:
        entered.set()
        go_on.wait(10)
        if next(conflicts, False):
            append_elsewhere(store, "account-1", [types.event(Deposited(1))])
        return Withdrawn(1)

    def both() -> list[object]:
        with ThreadPoolExecutor(2) as pool:
            blocked = pool.submit(transact, store, account, "1", decide, patience_s=0)
            entered.wait(10)
            patient = pool.submit(transact, store, account, "1", withdraw(2), patience_s=60)
            while not store.deciding.decider._lines._lines[account, "account-1"]._waiting:
                pass
            go_on.set()
            return [blocked.exception(), patient.exception()]

    impatient, patient = both()
    assert isinstance(impatient, ContentionError)
    assert patient is None
    assert load(store, account, "1").state.cents == 99


def test_a_policy_that_fails_does_not_undo_a_decision(store: EventStore) -> None:
    aggregate = Aggregate(
        category="account", initial=Account(), evolve=account.evolve, types=types, snapshots=SnapshotPolicy(when=lambda state: 1 / 0 > 1)
    )
    assert transact(store, aggregate, "1", deposit(1)).version == 3
    assert store.head() == 3


def test_an_unknown_outcome_is_met_by_the_same_events_again(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first append landed, but its reply was lost."""
    submit, lost = store.submit, iter([True])  # type: ignore[attr-defined]

    def lossy(parts: object, answered: Callable[[object], None], *condition: object) -> None:
        told = (lambda answer: answered(OutcomeUnknownError("lost"))) if next(lost, False) else answered
        submit(parts, told, *condition)

    monkeypatch.setattr(store, "submit", lossy)
    done = transact(store, account, "1", deposit(1))
    assert (done.version, done.attempts, store.head()) == (3, 1, 3)


def test_an_interrupted_leader_leaves_no_decision_to_be_made_twice(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a commit is under way: who waits for it is told that the outcome is unknown, and does not decide anew."""
    entered, go_on = threading.Event(), threading.Event()
    append = store.deciding.decider._append

    def interrupted(parts: Sequence[Draft], fail_if: Query | None, after: int) -> Sequence[Appended]:
        answers = append(parts, fail_if, after)
        if len(parts[0].rows) == 2:
            raise KeyboardInterrupt
        return answers

    def first(state: Account) -> Deposited:
        entered.set()
        go_on.wait(10)
        return Deposited(1)

    monkeypatch.setattr(store.deciding.decider, "_append", interrupted)
    with ThreadPoolExecutor(3) as pool:
        pool.submit(transact, store, account, "1", first)
        entered.wait(10)
        two = [pool.submit(transact, store, account, "1", deposit(1)) for _ in range(2)]
        while len(store.deciding.decider._lines._lines[account, "account-1"]._waiting) < 2:
            pass
        go_on.set()
        outcomes = {type(future.exception()) for future in two}
    assert outcomes == {KeyboardInterrupt, OutcomeUnknownError}
    assert load(store, account, "1").version == 5


def test_an_interrupt_after_the_commit_makes_no_decision_a_fact_twice(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Batch.answer

    def interrupted(batch: Batch[Account], *arguments: Any) -> None:
        if len(batch.taken) == 2:
            raise KeyboardInterrupt
        answer(batch, *arguments)

    monkeypatch.setattr(Batch, "answer", interrupted)
    outcomes = together(store, (account, "account-1"), partial(transact, store, account, "1"), [deposit(1), deposit(2)])
    assert {type(outcome.exception()) for outcome in outcomes} == {KeyboardInterrupt, OutcomeUnknownError}
    assert load(store, account, "1").state.cents == 103


@pytest.mark.parametrize("refuse", [True, False])
def test_nothing_rests_on_states_that_were_never_there_together(store: EventStore, refuse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the loads of the two, 50 cents move from one to the other: a refusal, or to do nothing, must be decided again."""
    loaded, moved = store.deciding.loader.load, iter([True])

    def load_slowly(aggregate: Aggregate[Account], stream_id: str, stale_s: float) -> Known:
        known = loaded(aggregate, stream_id, stale_s)
        if next(moved, False):
            store.append_many([Append("account-1", [types.event(Withdrawn(50))]), Append("account-2", [types.event(Deposited(50))])])
        return known

    def decide(one: Account, two: Account) -> None:
        if refuse and one.cents + two.cents != 100:
            raise AssertionError(f"there are {one.cents + two.cents} cents")

    monkeypatch.setattr(store.deciding.loader, "load", load_slowly)
    done = transact_many(store, [(account, "1"), (account, "2")], decide)
    assert [state.cents for state in done.state] == [50, 50]
    assert (done.attempts, done.appended) == (2, {})


def test_several_streams_have_no_one_version(store: EventStore) -> None:
    done = transact_many(store, [(account, "1"), (account, "2")], lambda one, two: ([Withdrawn(40)], [Deposited(40)]))
    with pytest.raises(InvalidEventError, match="ask `versions`"):
        _ = done.version


def test_several_streams_are_decided_on_together(store: EventStore) -> None:
    done = transact_many(store, [(account, "1"), (account, "2")], lambda one, two: ([Withdrawn(40)], [Opened("Bob"), Deposited(40)]))
    assert done.state == (Account("Ada", 60, 3), Account("Bob", 40, 2))
    assert done.versions == {"account-1": 3, "account-2": 2}
    assert [event.stream_id for event in RecordedEvent.each(store.read_all(after=2).read_all())] == ["account-1", "account-2", "account-2"]


def test_streams_that_were_only_looked_at_are_guarded_too(store: EventStore) -> None:
    seen = []

    def decide(one: Account, two: Account) -> tuple[list[Withdrawn], list[Deposited]]:
        seen.append(one.cents)
        if len(seen) == 1:
            append_elsewhere(store, "account-1", [types.event(Deposited(1))])
        return [], [Deposited(one.cents)]

    done = transact_many(store, [(account, "1"), (account, "2")], decide)
    assert (seen, done.attempts, done.state[1].cents) == ([100, 101], 2, 101)
    assert done.versions == {"account-1": 3, "account-2": 1}


def test_transfers_at_once_lose_no_cent(store: EventStore) -> None:
    def transfer(number: int) -> None:
        there, back = ("1", "2") if number % 2 else ("2", "1")
        transact_many(store, [(account, there), (account, back)], lambda one, two: ([Withdrawn(1)], [Deposited(1)]))

    at_once(8, transfer)
    assert load(store, account, "1").state.cents + load(store, account, "2").state.cents == 100
    assert store.head() == 2 + 16


@pytest.mark.parametrize("wrong", [[[]], {"account-1": []}, [[], [], []]])
def test_a_wrong_number_of_lists_is_refused(store: EventStore, wrong: object) -> None:
    with pytest.raises(InvalidEventError, match="one list of events for each"):
        transact_many(store, [(account, "1"), (account, "2")], lambda one, two: wrong)


@pytest.mark.parametrize("targets", [[], [(account, "1"), (account, "1")]])
def test_targets_are_distinct_streams(store: EventStore, targets: list[object]) -> None:
    with pytest.raises(InvalidEventError, match="distinct"):
        transact_many(store, targets, lambda *states: None)  # type: ignore[arg-type]


def test_asyncio_decides_too(store: EventStore) -> None:
    """Many tasks on one stream, each with its own correlation id."""

    async def work(number: int) -> int:
        with correlated(f"order-{number}"):
            return (await store.aio.transact(account, "1", deposit(1))).version

    async def everyone() -> list[int]:
        versions = await asyncio.gather(*(work(number) for number in range(50)))
        assert (await store.aio.load(account, "1")).version == 52
        return versions

    assert sorted(asyncio.run(everyone())) == list(range(3, 53))
    assert {event.correlation_id for event in recorded(store)[2:]} == {f"order-{number}" for number in range(50)}


def test_asyncio_loads_while_many_wait_for_one_stream(store: EventStore) -> None:
    go_on = threading.Event()

    def slow(state: Account) -> Deposited:
        go_on.wait(10)
        return Deposited(1)

    async def everyone() -> int:
        waiting = [asyncio.ensure_future(store.aio.transact(account, "1", slow)) for _ in range(100)]
        loaded = await asyncio.wait_for(store.aio.load(account, "2"), 10)
        go_on.set()
        await asyncio.gather(*waiting)
        return loaded.version

    assert asyncio.run(everyone()) == 0


def test_a_closed_store_decides_and_loads_nothing(store: EventStore) -> None:
    """Not from memory either, and not by asyncio, whether it was used before or not."""
    asyncio.run(store.aio.transact(account, "1", deposit(1)))
    store.close()
    for work in (lambda: load(store, account, "1", stale_s=60), lambda: transact(store, account, "1", deposit(1))):
        with pytest.raises(StoreClosedError):
            work()
    for task in (store.aio.load(account, "1"), store.aio.transact(account, "1", deposit(1))):
        with pytest.raises(StoreClosedError):
            asyncio.run(task)


def test_asyncio_decides_on_several_streams_and_over_queries(store: EventStore) -> None:
    counted = Boundary(initial=0, evolve=lambda count, event: count + 1)

    async def both() -> tuple[int, int]:
        many = await store.aio.transact_many([(account, "1"), (account, "2")], lambda one, two: ([Withdrawn(1)], [Deposited(1)]))
        query = await store.aio.transact_query(counted, Query(["Deposited"]), lambda count: {"log": [Event("Counted", {"count": count})]})
        return many.versions["account-2"], query.state

    assert asyncio.run(both()) == (1, 2)


def test_the_contract_of_a_store_holds_for_decisions() -> None:
    with MemoryEventStore(contract=types.contract()) as store, pytest.raises(InvalidEventError, match="Unheard"):
        transact(store, account, "1", lambda state: [Event("Unheard", {})])
