"""What readers of objects meet where a payload was erased, and how folds go on."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import pyarrow as pa
import pytest

from store import (
    Aggregate,
    Boundary,
    ErasedEvent,
    Erasure,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    MemoryEventStore,
    Query,
    RawEvent,
    Rename,
    Split,
    Timeline,
    Upcast,
    given,
    history,
    load,
    load_all,
    load_as_of,
    load_at,
    load_many,
    load_query,
    transact,
)

WHO = {"by": "ann", "why": "asked for it"}
ERASURE = str(uuid4())


@dataclass(frozen=True)
class Paid:
    amount: int
    by: str = "somebody"


@dataclass(frozen=True)
class Account:
    balance: int = 0
    unreadable: int = 0


def evolve(account: Account, event: Paid) -> Account:
    return Account(account.balance + event.amount, account.unreadable)


TYPES = EventTypes(EventType("Paid", Paid))
ACCOUNTS = Aggregate(category="account", initial=Account(), evolve=evolve, types=TYPES)
COUNTING = Aggregate(
    category="account", initial=Account(), evolve=evolve, types=TYPES, name="counting", erased=lambda a, event: Account(a.balance, a.unreadable + 1)
)


@pytest.fixture
def paid() -> EventStore:
    """Three payments, of which the second is erased."""
    store = MemoryEventStore()
    for amount in (1, 10, 100):
        store.append("account-1", [TYPES.event(Paid(amount), tags=["all"])])
    store.erase(Erasure(after=1, until=2), **WHO)
    return store


def test_husk_is_decoded_to_an_erased_event(paid: EventStore) -> None:
    before, husk, after = TYPES.decode(paid.read_stream("account-1"))
    assert (before, after) == (Paid(1), Paid(100))
    assert isinstance(husk, ErasedEvent)
    assert husk.type == "Paid"


def test_folds_pass_it_over_and_stand_at_its_version(paid: EventStore) -> None:
    loaded = load(paid, ACCOUNTS, "1")
    assert (loaded.state, loaded.version, loaded.position) == (Account(101), 3, 3)
    assert load_at(paid, ACCOUNTS, "1", 2).state == load_as_of(paid, ACCOUNTS, "1", 2).state == Account(1)
    assert load_many(paid, ACCOUNTS, ["1"])["1"].state == Account(101)
    assert [one.state for one in load_all(paid, ACCOUNTS)] == [Account(101)]
    assert load_query(paid, Boundary(initial=Account(), evolve=evolve, types=TYPES), Query(tags=["all"])).state == Account(101)


def test_aggregate_may_say_what_it_does(paid: EventStore) -> None:
    assert load(paid, COUNTING, "1").state == Account(101, 1)
    boundary = Boundary(initial=Account(), evolve=evolve, types=TYPES, erased=COUNTING.erased)
    assert load_query(paid, boundary, Query(tags=["all"])).state == Account(101, 1)
    with pytest.raises(InvalidEventError, match="erased 7 is no function"):
        Aggregate(category="account", initial=Account(), evolve=evolve, erased=7)  # type: ignore[arg-type]


def test_aggregate_without_types_passes_it_over(paid: EventStore) -> None:
    seen = Aggregate(category="account", initial=(), evolve=lambda state, event: (*state, type(event)), state=tuple[str, ...])
    assert load(paid, seen, "1").state == (RawEvent, RawEvent)


def test_decisions_go_on_behind_it(paid: EventStore) -> None:
    done = transact(paid, ACCOUNTS, "1", lambda account: Paid(account.balance))
    assert done.state == Account(202)
    assert paid.stream_version("account-1") == 4


def test_history_shows_that_nothing_changed(paid: EventStore) -> None:
    told = history(paid, ACCOUNTS, "1")
    assert [step.changes() for step in told][1] == {}
    assert "erased" in repr(told)
    assert "erased" in repr(Timeline(paid.read_stream("account-1")))


def test_remembered_states_are_forgotten(paid: EventStore) -> None:
    assert load(paid, ACCOUNTS, "1").state == Account(101)
    paid.erase(Erasure(until=1), **WHO)
    assert load(paid, ACCOUNTS, "1").state == Account(100)
    boundary = Boundary(initial=Account(), evolve=evolve, types=TYPES)
    assert load_query(paid, boundary, Query(tags=["all"])).state == Account(100)
    paid.erase(Erasure(streams=["account-1"]), **WHO)
    assert load_query(paid, boundary, Query(tags=["all"])).state == Account()


def test_typed_columns_are_null_for_it(paid: EventStore) -> None:
    columns = TYPES.columns(paid.read_stream("account-1"), "Paid")
    assert columns.select(["version", "amount", "by"]).to_pylist() == [
        {"version": 1, "amount": 1, "by": "somebody"},
        {"version": 2, "amount": None, "by": None},
        {"version": 3, "amount": 100, "by": "somebody"},
    ]


@dataclass(frozen=True)
class New:
    amount: int = 0
    notes: list[str] = field(default_factory=list)


@pytest.mark.parametrize(
    ("step", "type"),
    [
        (Upcast("New", 1, lambda data: data), "New"),
        (Rename("Old", 1, lambda data: data, to="New", to_version=2), "New"),
        (Split("Old", 1, lambda data: [], into=(("New", 2), ("Other", 1))), "Old"),
    ],
)
def test_steps_are_not_asked_of_it(step: Upcast | Rename | Split, type: str) -> None:
    rename = [Rename("Gone", 1, to="New", to_version=2)]
    first = 1 if isinstance(step, Upcast) else 2
    types = EventTypes(EventType("New", New, schema_version=2, first_version=first), EventType("Other", Paid), steps=[step, *rename])
    stored = "New" if isinstance(step, Upcast) else "Old"
    with MemoryEventStore() as store:
        store.append("a-1", [Event(stored, {"amount": 7}), Event("Gone", {"amount": 8})])
        store.erase(Erasure(until=1), **WHO)
        assert [event.type if isinstance(event, ErasedEvent) else event for event in types.decode(store.read_stream("a-1"))] == [type, New(8)]
        assert types.decode_text(stored, 1, store.read_stream("a-1")["data"][0].as_py())[0].type == type
        amounts = types.columns(store.read_stream("a-1"), "New")["amount"].to_pylist()
        assert amounts == ([None, 8] if type == "New" else [8])


def test_scenario_is_given_one() -> None:
    given(COUNTING, Paid(5), ErasedEvent("Paid", ERASURE)).when(lambda account: Paid(account.balance)).then(Paid(5)).then_state(Account(10, 1))
    given(ACCOUNTS, ErasedEvent("Paid", ERASURE)).when(lambda account: None).then().then_state(Account())


def test_data_that_only_looks_like_a_husk_is_none() -> None:
    types = EventTypes()
    data = ['{"$erased":"no uuid"}', '{"$erased":"' + ERASURE + '","more":1}', '{"$erased": "' + ERASURE + '"}']
    events = pa.table({"type": ["T"] * 3, "schema_version": pa.array([1] * 3, pa.int32()), "data": data})
    assert [type(event) for event in types.decode(events)] == [RawEvent] * 3
