"""Decisions over a query: two seats, many bookers, whatever streams their events are in."""

from __future__ import annotations

from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as given_any
from hypothesis import strategies as st

from store import (
    Boundary,
    ContentionError,
    Event,
    EventStore,
    EventType,
    EventTypes,
    InvalidEventError,
    MemoryEventStore,
    OutcomeUnknownError,
    Query,
    Rename,
    Split,
    given_query,
    load_query,
    open_store,
    transact_query,
)
from tests.store.deciding.together import append_elsewhere, together
from tests.store.facts import at_once


class Offered(msgspec.Struct, frozen=True):
    flight: str
    seats: int


class Booked(msgspec.Struct, frozen=True):
    flight: str
    passenger: str


types = EventTypes(
    EventType("Offered", Offered, tags=lambda event: [f"flight:{event.flight}"]),
    EventType("Booked", Booked, tags=lambda event: [f"flight:{event.flight}", f"passenger:{event.passenger}"]),
)


class Seats(msgspec.Struct, frozen=True):
    offered: int = 0
    passengers: tuple[str, ...] = ()


def evolve(seats: Seats, event: Offered | Booked) -> Seats:
    if isinstance(event, Offered):
        return Seats(seats.offered + event.seats, seats.passengers)
    return Seats(seats.offered, (*seats.passengers, event.passenger))


class FullError(Exception):
    pass


seats = Boundary(initial=Seats(), evolve=evolve, types=types)
FLIGHT = Query(["Offered", "Booked"], ["flight:1"])


def booking(passenger: str) -> Any:
    def decide(state: Seats) -> dict[str, Booked] | None:
        if passenger in state.passengers:
            return None
        if len(state.passengers) == state.offered:
            raise FullError(passenger)
        return {f"passenger-{passenger}": Booked("1", passenger)}

    return decide


def test_the_state_is_that_of_all_matching_events(store: EventStore) -> None:
    store.append("a", [types.event(Offered("1", 2)), types.event(Offered("2", 9))])
    append_elsewhere(store, "b", [types.event(Booked("1", "Ada"))])
    matched = load_query(store, seats, FLIGHT)
    assert (matched.state, matched.position) == (Seats(2, ("Ada",)), 3)
    store.append("c", [types.event(Booked("1", "Bob")), types.event(Booked("2", "Eve"))])
    assert load_query(store, seats, FLIGHT).state == Seats(2, ("Ada", "Bob"))


def test_nothing_that_matches_is_the_initial_state(store: EventStore) -> None:
    assert load_query(store, seats, FLIGHT).state == Seats()


def test_events_go_where_decide_says(store: EventStore) -> None:
    store.append("a", [types.event(Offered("1", 2))])
    done = transact_query(store, seats, FLIGHT, booking("Ada"))
    assert (done.state, done.versions, done.appended["passenger-Ada"].position) == (Seats(2, ("Ada",)), {"passenger-Ada": 1}, 2)
    assert transact_query(store, seats, FLIGHT, booking("Ada")).appended == {}


def test_two_seats_are_booked_twice_however_many_want_one(store: EventStore) -> None:
    store.append("a", [types.event(Offered("1", 2))])

    def work(number: int) -> str:
        try:
            transact_query(store, seats, FLIGHT, booking(str(number)))
        except FullError:
            return "full"
        return "booked"

    assert sorted(at_once(16, work)) == ["booked"] * 2 + ["full"] * 14
    assert load_query(store, seats, FLIGHT).state.passengers.__len__() == 2


def test_events_that_do_not_match_are_no_conflict(store: EventStore) -> None:
    store.append("a", [types.event(Offered("1", 2))])

    def decide(state: Seats) -> dict[str, Booked]:
        append_elsewhere(store, "b", [types.event(Booked("2", "Eve"))])
        return {"c": Booked("1", "Ada")}

    assert transact_query(store, seats, FLIGHT, decide).attempts == 1


def test_events_that_match_are_one_and_the_decision_is_made_again(store: EventStore) -> None:
    store.append("a", [types.event(Offered("1", 2))])
    seen = []

    def decide(state: Seats) -> dict[str, list[Booked]]:
        seen.append(len(state.passengers))
        if len(seen) == 1:
            append_elsewhere(store, "b", [types.event(Booked("1", "Eve"))])
        return {"c": [Booked("1", "Ada")]}

    done = transact_query(store, seats, FLIGHT, decide)
    assert (seen, done.attempts, done.state) == ([0, 1], 2, Seats(2, ("Eve", "Ada")))


def test_who_is_never_first_is_told_what_came_before(store: EventStore) -> None:
    def decide(state: Seats) -> dict[str, Booked]:
        append_elsewhere(store, "b", [types.event(Booked("1", "Eve"))])
        return {"c": Booked("1", "Ada")}

    with pytest.raises(ContentionError, match="'Booked' in stream 'b', at position 1"):
        transact_query(store, seats, FLIGHT, decide, patience_s=0)


def test_events_that_the_query_does_not_find_leave_the_state_alone(store: EventStore) -> None:
    done = transact_query(store, seats, FLIGHT, lambda state: {"a": [Booked("2", "Eve"), Event("Other", {})]})
    assert done.state == Seats()
    assert load_query(store, seats, FLIGHT).state == Seats()


def test_the_log_holds_the_events_in_the_order_in_which_they_were_decided(store: EventStore) -> None:
    """Of decisions that share a commit, too, and whatever streams they write to: else the state decided on would be of no log."""
    store.append("a", [types.event(Offered("1", 9))])
    decisions = [lambda state: {"a": Booked("1", "Ada"), "b": Booked("1", "Bob")}, lambda state: {"a": Booked("1", "Cy")}]
    outcomes = together(store, (seats, FLIGHT), partial(transact_query, store, seats, FLIGHT), decisions)
    states = [outcome.result().state.passengers for outcome in outcomes]
    assert states == [("Ada", "Bob"), ("Ada", "Bob", "Cy")]
    assert outcomes[1].result().appended["a"] == (3, 3, 4, 4)
    logged = [event["passenger"] for batch in store.read_all(after=1) for event in map(msgspec.json.decode, batch["data"].to_pylist())]
    assert logged == ["Ada", "Bob", "Cy"]
    assert load_query(store, seats, FLIGHT).state.passengers == ("Ada", "Bob", "Cy")


def test_an_event_that_is_there_already_counts_once(store: EventStore) -> None:
    """As when a command is sent again with the events that it made."""
    store.append("a", [types.event(Offered("1", 9))])
    event = types.event(Booked("1", "Ada"))
    first, again = (transact_query(store, seats, FLIGHT, lambda state: {"b": [event]}) for _ in range(2))
    assert (first.state, first.appended) == (again.state, again.appended) == (Seats(9, ("Ada",)), {"b": (1, 1, 2, 2)})
    assert load_query(store, seats, FLIGHT).state == Seats(9, ("Ada",))
    assert store.head() == 2


def test_an_event_that_is_there_already_does_not_stop_its_neighbours(store: EventStore) -> None:
    event = types.event(Booked("1", "Ada"))
    transact_query(store, seats, FLIGHT, lambda state: {"a": [event]})
    decisions = [lambda state: {"a": [event]}, lambda state: {"b": Booked("1", "Bob")}]
    outcomes = together(store, (seats, FLIGHT), partial(transact_query, store, seats, FLIGHT), decisions)
    assert [outcome.result().appended for outcome in outcomes] == [{"a": (1, 1, 1, 1)}, {"b": (1, 1, 2, 2)}]
    assert load_query(store, seats, FLIGHT).state.passengers == ("Ada", "Bob")


class Taken(msgspec.Struct, frozen=True):
    name: str


NAME = Query(["Claimed"], ["name:ada"])


def claiming(types: EventTypes) -> Boundary[bool]:
    return Boundary(initial=False, evolve=lambda taken, event: True, types=types)


@pytest.mark.parametrize("step", [
    Rename("Taken", 1, to="Claimed"),
    Split("Taken", 1, lambda data: [("Claimed", 1, data), ("Greeted", 1, data)], into=(("Claimed", 1), ("Greeted", 1))),
])  # fmt: skip
def test_what_was_renamed_or_split_guards_on(store: EventStore, step: Rename | Split) -> None:
    """The events of before are in the log under their old name."""
    store.append("a", [Event("Taken", {"name": "ada"}, tags=["name:ada"])])
    greeted = msgspec.defstruct("Greeted", [("name", str)], frozen=True)
    names = claiming(EventTypes(EventType("Claimed", Taken), EventType("Greeted", greeted), steps=[step]))
    assert load_query(store, names, NAME).state is True
    seen = []

    def decide(taken: bool) -> dict[str, Event]:
        seen.append(taken)
        if len(seen) == 1:
            append_elsewhere(store, "b", [Event("Taken", {"name": "ada"}, tags=["name:ada"])])
        return {"c": Event("Claimed", {"name": "ada"}, tags=["name:ada"])}

    assert (transact_query(store, names, NAME, decide).attempts, seen) == (2, [True, True])


def test_a_type_that_the_boundary_does_not_know_is_refused(store: EventStore) -> None:
    """A misspelt one would find nothing, and guard nothing."""
    with pytest.raises(InvalidEventError, match="'Claimd' is no type that the boundary knows: take one of Claimed"):
        load_query(store, claiming(EventTypes(EventType("Claimed", Taken))), Query(["Claimd"]))
    anything = Boundary(initial=0, evolve=lambda count, event: count + 1)
    assert load_query(store, anything, Query(["Claimd"])).state == 0


def test_who_has_given_up_is_not_decided_again_for_a_neighbour(store: EventStore) -> None:
    """One gives up at a conflict; then an event that is there already makes the rest of its batch be served one by one."""
    there = types.event(Booked("1", "Ada"))
    store.append("a", [there])
    conflicts = iter([True])

    def impatient(state: Seats) -> dict[str, Booked]:
        if next(conflicts, False):
            append_elsewhere(store, "b", [types.event(Booked("1", "Eve"))])
        return {"c": Booked("1", "Cy")}

    def repeating(state: Seats) -> dict[str, list[Event]]:
        return {"a": [there]} if "Eve" in state.passengers else {}

    patience_s = {impatient: 0.0}
    decisions = [impatient, repeating, lambda state: {"d": Booked("1", "Dan")}]
    transact = lambda decide: transact_query(store, seats, FLIGHT, decide, patience_s=patience_s.get(decide, 10.0))  # noqa: E731
    gave_up, repeated, decided = together(store, (seats, FLIGHT), transact, decisions)
    assert isinstance(gave_up.exception(), ContentionError)
    assert (repeated.result().appended, decided.result().appended) == ({"a": (1, 1, 1, 1)}, {"d": (1, 1, 3, 3)})
    assert (store.stream_version("c"), store.head()) == (0, 3)


@pytest.mark.parametrize("matches", [True, False])
def test_a_lost_reply_makes_no_decision_a_fact_twice(store: EventStore, matches: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even when thousands of others come into its stream before it is sent again, and whether its own event matches the query or not."""
    submit, lost = store.submit, iter([True])  # type: ignore[attr-defined]

    def lossy(parts: object, answered: Any, *condition: object) -> None:
        if not next(lost, False):
            return submit(parts, answered, *condition)
        submit(parts, lambda answer: None, *condition)
        store.append("b", [types.event(Offered("9", 1)) for _ in range(1_500)])
        return answered(OutcomeUnknownError("lost"))

    monkeypatch.setattr(store, "submit", lossy)
    done = transact_query(store, seats, FLIGHT, lambda state: {"b": Booked("1" if matches else "2", "Ada")})
    assert (done.appended, done.attempts) == ({"b": (1, 1, 1, 1)}, 1)
    assert store.head() == 1_501


def test_a_list_is_no_answer(store: EventStore) -> None:
    with pytest.raises(InvalidEventError, match="by stream"):
        transact_query(store, seats, FLIGHT, lambda state: [Booked("1", "Ada")])  # type: ignore[arg-type, return-value]


def test_given_when_then_over_a_query() -> None:
    offered = given_query(seats, FLIGHT, {"a": [Offered("1", 1), Offered("2", 5)]})
    offered.when(booking("Ada")).then(Booked("1", "Ada")).then_state(Seats(1, ("Ada",)))
    offered.when(booking("Ada")).then_in("passenger-Ada", Booked("1", "Ada")).then_in("passenger-Bob")
    with pytest.raises(AssertionError, match="expected in 'passenger-Bob'"):
        offered.when(booking("Ada")).then_in("passenger-Bob", Booked("1", "Ada"))
    given_query(seats, FLIGHT, {"a": [Offered("1", 1)], "b": [Booked("1", "Ada")]}).when(booking("Bob")).then_refused(FullError)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given_any(offered=st.integers(0, 4), wishes=st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdef")), max_size=14), on_disk=st.booleans())
def test_never_more_passengers_than_seats_and_never_one_twice(offered: int, wishes: list[tuple[int, str]], on_disk: bool) -> None:
    """In whatever order, through two handles; and everybody gets a seat as long as there is one."""
    with TemporaryDirectory() as folder:
        first: EventStore = open_store(folder, create=True) if on_disk else MemoryEventStore()
        handles = [first, open_store(folder) if on_disk else first]
        if offered:
            first.append("a", [types.event(Offered("1", offered))])
        for handle, passenger in wishes:
            try:
                transact_query(handles[handle], seats, FLIGHT, booking(passenger))
            except FullError:
                assert len(load_query(handles[1 - handle], seats, FLIGHT).state.passengers) == offered
        passengers = load_query(first, seats, FLIGHT).state.passengers
        wanted = list(dict.fromkeys(passenger for _, passenger in wishes))
        assert list(passengers) == wanted[:offered]
        for store in handles:
            store.close()
