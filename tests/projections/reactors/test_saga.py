from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections import DeclarationError, MemoryModel, Progress, Saga, Step, react, saga_events, saga_reactor
from projections.reactors import target
from store import NO_STREAM, Append, Event, EventTypes, MemoryEventStore, RecordedEvent, load


class RefusedError(Exception):
    """The step never will."""


class Trip:
    """A saga of steps that write down what they do, and fail as often as they are told."""

    def __init__(self, *names: str, patience_s: float = 0.0) -> None:
        self.told: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        self.stuck: list[tuple[str, Progress]] = []
        steps = (Step(name, self._does(name), self._does(f"undo {name}"), refusals=(RefusedError,)) for name in names)
        self.saga = Saga(name="trip", steps=tuple(steps), patience_s=patience_s)
        self.store = MemoryEventStore()

    def _does(self, what: str) -> Any:
        def act(data: Mapping[str, Any], key: str) -> dict[str, Any] | None:
            self.told.append(what)
            if self.failures.get(what):
                raise self.failures[what].pop(0)
            return None if what.startswith("undo") else {what: f"{data['who']}'s"}

        return act

    def begin(self, key: str = "1", who: str = "Ada") -> None:
        self.store.append_many([self.saga.begin(key, {"who": who})])

    def run(self) -> Progress:
        """With a mark of its own each time: as if everything but the log was lost."""
        reactor = saga_reactor(self.store, self.saga, lambda key, progress: self.stuck.append((key, progress)))
        react(self.store, reactor, MemoryModel(reactor.mark))
        return self.progress()

    def progress(self, key: str = "1") -> Progress:
        return load(self.store, self.saga.progress, key).state

    def recorded(self) -> list[str]:
        events = RecordedEvent.each(self.store.read_stream("saga_trip-1"))
        return [" ".join([event.type, *([event.payload()["step"]] if "step" in event.payload() else [])]) for event in events]


@pytest.fixture
def trip() -> Trip:
    return Trip("flight", "hotel", "car")


def test_steps_are_done_in_order_and_each_is_recorded(trip: Trip) -> None:
    trip.begin()
    assert trip.run().phase == "completed"
    assert trip.told == ["flight", "hotel", "car"]
    assert trip.recorded() == ["SagaStarted", "StepDone flight", "StepDone hotel", "StepDone car", "SagaCompleted"]


def test_a_step_sees_what_those_before_it_added(trip: Trip) -> None:
    trip.begin()
    assert trip.run().data == {"who": "Ada", "flight": "Ada's", "hotel": "Ada's", "car": "Ada's"}


def test_when_a_step_fails_for_good_those_done_are_undone_in_reverse_order(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError("none left")]}
    trip.begin()
    progress = trip.run()
    assert (progress.phase, progress.failed, progress.why) == ("compensated", "car", "RefusedError: none left")
    assert trip.told == ["flight", "hotel", "car", "undo car", "undo hotel", "undo flight"]
    assert trip.recorded()[-5:] == ["StepFailed car", "StepUndone car", "StepUndone hotel", "StepUndone flight", "SagaCompensated"]


def test_steps_that_cannot_be_undone_are_passed_over() -> None:
    trip = Trip("flight", "hotel")
    trip.saga = Saga(name="trip", steps=(trip.saga.steps[0], Step("letter", lambda data, key: None), trip.saga.steps[1]), patience_s=0.0)
    trip.failures = {"hotel": [RefusedError()]}
    trip.begin()
    assert trip.run().phase == "compensated"
    assert [told for told in trip.recorded() if told.startswith("StepUndone")] == ["StepUndone hotel", "StepUndone flight"]


def test_what_is_no_refusal_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "FIRST_WAIT_S", 0.0)
    trip = Trip("flight", "hotel", patience_s=60.0)
    trip.failures = {"hotel": [ConnectionError()] * 3}
    trip.begin()
    assert trip.run().phase == "completed"
    assert trip.told == ["flight", "hotel", "hotel", "hotel", "hotel"]


def test_a_refusal_is_not_tried_again() -> None:
    trip = Trip("flight", patience_s=60.0)
    trip.failures = {"flight": [RefusedError()]}
    trip.begin()
    assert (trip.run().phase, trip.told) == ("compensated", ["flight", "undo flight"])


def test_one_that_cannot_be_undone_is_stuck_and_told(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError()], "undo hotel": [ConnectionError("no route")]}
    trip.begin()
    progress = trip.run()
    assert (progress.phase, progress.why) == ("stuck", "step 'hotel' cannot be undone: ConnectionError: no route")
    assert trip.stuck == [("1", progress)]
    assert "undo flight" not in trip.told


def test_one_that_is_stuck_holds_up_no_other(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError()], "undo hotel": [ConnectionError()]}
    trip.begin()
    trip.begin("2", "Bob")
    trip.run()
    assert (trip.progress("1").phase, trip.progress("2").phase) == ("stuck", "completed")


def test_one_that_is_stuck_goes_on_when_it_is_resumed(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError()], "undo hotel": [ConnectionError()]}
    trip.begin()
    trip.run()
    del trip.told[:]
    trip.store.append_many([trip.saga.resume("1")])
    assert trip.run().phase == "compensated"
    assert trip.told == ["undo hotel", "undo flight"]


def test_what_has_ended_is_left_as_it_is_by_resuming_and_beginning_again(trip: Trip) -> None:
    trip.begin()
    trip.run()
    trip.store.append_many([trip.saga.resume("1")])
    trip.begin("1", "Bob")
    assert (trip.run().data["who"], trip.progress().phase) == ("Ada", "completed")
    assert trip.told == ["flight", "hotel", "car"]


class Crashed(BaseException):
    """As a kill would be."""


@settings(deadline=None)
@given(crash_at=st.integers(0, 11), undone=st.booleans())
def test_a_saga_cut_off_anywhere_ends_as_if_it_was_not(crash_at: int, undone: bool) -> None:
    """A crash is at an append of the record, before or after it is durable."""
    trip = Trip("flight", "hotel", "car")
    trip.failures = {"car": [RefusedError()] * (20 if undone else 0)}
    trip.begin()
    append_many, appends = trip.store.append_many, iter(range(100))

    def crashing(*args: Any) -> Any:
        if (now := next(appends)) == crash_at and now % 2:
            raise Crashed
        answer = append_many(*args)
        if now == crash_at:
            raise Crashed
        return answer

    trip.store.append_many = crashing  # type: ignore[method-assign]
    for _ in range(2):
        try:
            trip.run()
        except Crashed:
            continue
    assert trip.progress().phase == ("compensated" if undone else "completed")
    undoing = ["StepFailed car", "StepUndone car", "StepUndone hotel", "StepUndone flight", "SagaCompensated"]
    ends = undoing if undone else ["StepDone car", "SagaCompleted"]
    assert trip.recorded() == ["SagaStarted", "StepDone flight", "StepDone hotel", *ends]
    assert len(trip.told) <= 7                     # one step at most was done twice


def test_an_append_of_a_step_is_made_in_one_commit_with_its_record() -> None:
    trip = Trip("flight")
    seat = Step("seat", lambda data, key: Append("seat-1", [Event("SeatTaken", {})], NO_STREAM))
    trip.saga = Saga(name="trip", steps=(seat, *trip.saga.steps), patience_s=0.0)
    trip.begin()
    trip.run()
    [taken] = RecordedEvent.each(trip.store.read_stream("seat-1"))
    [done] = [event for event in RecordedEvent.each(trip.store.read_stream("saga_trip-1")) if event.payload().get("step") == "seat"]
    assert (taken.position - done.position, taken.recorded_at) == (1, done.recorded_at)


def test_an_append_that_does_not_fit_fails_the_step() -> None:
    trip = Trip("flight")
    trip.store.append("seat-1", [Event("SeatTaken", {})])
    steps = (Step("seat", lambda data, key: Append("seat-1", [Event("SeatTaken", {})], NO_STREAM)),)
    trip.saga = Saga(name="trip", steps=steps, patience_s=0.0)
    trip.begin()
    assert trip.run().phase == "compensated"
    assert "expected" in (trip.progress().why or "")


@pytest.mark.parametrize("fails", [False, True])
def test_of_two_runners_of_one_saga_the_first_record_of_a_step_counts(trip: Trip, fails: bool) -> None:
    trip.begin()
    inner = trip.saga.steps[1].do

    def other_first(data: Mapping[str, Any], key: str) -> Any:
        overtaken = trip.told == ["flight"]
        outcome = inner(data, key)
        if overtaken:
            trip.run()                             # the other one, which finds the step done
            if fails:
                raise RefusedError
        return outcome

    steps = trip.saga.steps
    trip.saga = Saga(name="trip", steps=(steps[0], Step("hotel", other_first, refusals=(RefusedError,)), steps[2]), patience_s=60.0)
    assert trip.run().phase == "completed"
    assert trip.recorded() == ["SagaStarted", "StepDone flight", "StepDone hotel", "StepDone car", "SagaCompleted"]


def test_events_of_a_saga_are_caused_by_its_beginning(trip: Trip) -> None:
    trip.begin()
    trip.run()
    begun, *rest = RecordedEvent.each(trip.store.read_stream("saga_trip-1"))
    assert {event.causation_id for event in rest} == {begun.event_id}


def test_a_step_that_the_code_has_no_more_makes_it_stuck(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError()], "undo car": [ConnectionError()]}
    trip.begin()
    trip.run()
    trip.saga = Saga(name="trip", steps=trip.saga.steps[:1], patience_s=0.0)
    trip.store.append_many([trip.saga.resume("1")])
    assert (trip.run().phase, trip.progress().why) == ("stuck", "step 'car' cannot be undone: this code has no such step: run code that has it")


def test_outcomes_can_be_asked_for_in_sql(trip: Trip) -> None:
    trip.failures = {"car": [RefusedError("none left")]}
    trip.begin()
    trip.run()
    asked = "select data ->> 'step', data ->> 'why' from events where type = 'StepFailed' and stream_id like 'saga_trip-%'"
    assert trip.store.sql(asked).fetchall() == [("car", "RefusedError: none left")]


def test_a_contract_takes_the_events_of_sagas_with_ones_own(trip: Trip) -> None:
    trip.store = MemoryEventStore(contract=EventTypes(*saga_events).contract())
    trip.begin()
    assert trip.run().phase == "completed"


def step(name: str = "a", **changed: Any) -> Step:
    return Step(**{"name": name, "do": lambda data, key: None, **changed})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": "my-trip"}, "names a category"),
        ({"steps": ()}, "at least one Step"),
        ({"steps": (step(), step())}, "have 'a' twice"),
        ({"steps": (step(do=lambda data: None),)}, r"do of step 'a' .*let it take \(data, key\)"),
        ({"steps": (step(undo=lambda: None),)}, "undo of step 'a'"),
    ],
)
def test_wrong_declarations_are_refused_with_the_remedy(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told):
        Saga(**{"name": "trip", "steps": (step(),), **changed})
