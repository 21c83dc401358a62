from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipelines.flights.events import FlightCancelled, FlightScheduled, SeatsOffered, flight_types
from pipelines.flights.rebooking import not_rebooked, reactors, rebooking
from pipelines.flights.seats import book, passengers_at, release
from projections import MemoryModel, Progress, ReadModel, Target, react
from store import EventStore, MemoryEventStore, RecordedEvent, open_store

NEW_YORK = ZoneInfo("America/New_York")
MORNING, NOON, EVENING = "2013-02-08-B6-1-JFK", "2013-02-08-B6-3-JFK", "2013-02-08-B6-5-JFK"
HOURS = {MORNING: 8, NOON: 12, EVENING: 18}
PASSENGERS = ("Ada", "Bob", "Eve")


class UnknownPassengerError(Exception):
    """There is no address."""


class Mail:
    """Remembers each letter under its key, and fails as it is told."""

    def __init__(self) -> None:
        self.letters: dict[str, tuple[str, str, str]] = {}
        self.failure: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def send(self, passenger: str, departure: str, to: str, idempotency_key: str) -> None:
        self.meanwhile()
        if self.failure is not None:
            raise self.failure
        self.letters[idempotency_key] = (passenger, departure, to)


def offer(store: EventStore, departure: str, count: int) -> None:
    _, _, _, carrier, flight, origin = departure.split("-")
    departs = datetime(2013, 2, 8, HOURS[departure], tzinfo=NEW_YORK)
    scheduled = FlightScheduled(
        carrier, int(flight), origin, "BOS", distance_miles=187, departs=f"{departs:%Y-%m-%dT%H:%M}", arrives="2013-02-08T20:00", duration_min=60
    )
    store.append(f"flight-{departure}", [flight_types.event(scheduled), flight_types.event(SeatsOffered(departure, count))])


def cancel(store: EventStore, departure: str) -> None:
    departs = datetime(2013, 2, 8, HOURS[departure], tzinfo=NEW_YORK)
    event = FlightCancelled("B6", int(departure.split("-")[4]), "JFK", "BOS")
    store.append(f"flight-{departure}", [flight_types.event(event, occurred_at=departs)])


def prepare(store: EventStore, noon: int = 2, evening: int = 2) -> None:
    """Three passengers in the morning; later flights with so many seats."""
    for departure, count in ((MORNING, 3), (NOON, noon), (EVENING, evening)):
        offer(store, departure, count)
    for passenger in PASSENGERS:
        book(store, MORNING, passenger)


def aboard(store: EventStore) -> dict[str, list[str]]:
    return {departure: passengers_at(store, departure, store.head()) for departure in (MORNING, NOON, EVENING)}


class Desk:
    """The rebooking of a store, with marks in memory."""

    def __init__(self, mail: Mail) -> None:
        self.store, self.mail = MemoryEventStore(), mail
        self.stuck: list[tuple[str, Progress]] = []
        self.saga = rebooking(self.store, Target("mail", mail.send, refusals=(UnknownPassengerError,)), patience_s=0.0)
        both = reactors(self.store, self.saga, lambda key, progress: self.stuck.append((key, progress)))
        self.reactors = [(reactor, MemoryModel(reactor.mark)) for reactor in both]
        self.work()

    def work(self) -> None:
        for reactor, mark in self.reactors:
            react(self.store, reactor, mark)


@pytest.fixture
def mail() -> Mail:
    return Mail()


@pytest.fixture
def desk(mail: Mail) -> Desk:
    return Desk(mail)


def test_each_passenger_of_a_cancelled_flight_gets_a_later_seat_and_word_of_it(desk: Desk, mail: Mail) -> None:
    prepare(desk.store)
    cancel(desk.store, MORNING)
    desk.work()
    assert aboard(desk.store) == {MORNING: [], NOON: ["Ada", "Bob"], EVENING: ["Eve"]}
    assert list(mail.letters.values()) == [("Ada", MORNING, NOON), ("Bob", MORNING, NOON), ("Eve", MORNING, EVENING)]
    assert not_rebooked(desk.store).num_rows == 0


def test_a_passenger_who_cannot_be_told_keeps_the_old_seat(desk: Desk, mail: Mail) -> None:
    prepare(desk.store)
    cancel(desk.store, MORNING)
    mail.failure = UnknownPassengerError("no address")
    desk.work()
    assert aboard(desk.store) == {MORNING: ["Ada", "Bob", "Eve"], NOON: [], EVENING: []}
    assert not_rebooked(desk.store).select(["passenger", "departure", "step", "why", "outcome"]).to_pylist()[0] == {
        "passenger": "Ada",
        "departure": MORNING,
        "step": "tell the passenger",
        "why": "UnknownPassengerError: no address",
        "outcome": "compensated",
    }


def test_who_finds_no_seat_keeps_the_old_one_and_the_others_are_rebooked(desk: Desk) -> None:
    prepare(desk.store, noon=1, evening=1)
    cancel(desk.store, MORNING)
    desk.work()
    assert aboard(desk.store) == {MORNING: ["Eve"], NOON: ["Ada"], EVENING: ["Bob"]}
    [left] = not_rebooked(desk.store).to_pylist()
    assert (left["passenger"], left["step"]) == ("Eve", "book another seat")


def test_an_old_seat_that_cannot_be_taken_back_is_stuck_until_a_person_has_seen_to_it(desk: Desk, mail: Mail) -> None:
    prepare(desk.store)
    cancel(desk.store, MORNING)
    mail.failure = UnknownPassengerError("no address")
    mail.meanwhile = lambda: book(desk.store, MORNING, "a stranger")
    desk.work()
    [(key, progress)] = desk.stuck
    assert (key, progress.phase) == (f"{MORNING}-Ada", "stuck")
    assert (progress.why or "").startswith("step 'give the old seat back' cannot be undone: SoldOutError")
    assert [row["outcome"] for row in not_rebooked(desk.store).to_pylist()] == ["stuck", "compensated", "compensated"]
    mail.meanwhile = lambda: None
    release(desk.store, MORNING, "a stranger")
    desk.store.append_many([desk.saga.resume(key)])
    desk.work()
    assert aboard(desk.store) == {MORNING: ["Ada", "Bob", "Eve"], NOON: [], EVENING: []}


def test_a_flight_that_is_cancelled_too_is_no_choice_and_its_new_passengers_are_rebooked_again(desk: Desk) -> None:
    prepare(desk.store, noon=3, evening=3)
    cancel(desk.store, MORNING)
    desk.work()
    cancel(desk.store, NOON)
    desk.work()
    assert aboard(desk.store) == {MORNING: [], NOON: [], EVENING: ["Ada", "Bob", "Eve"]}


def test_nobody_is_rebooked_onto_a_flight_that_was_cancelled_before(desk: Desk) -> None:
    prepare(desk.store, evening=3)
    cancel(desk.store, NOON)
    cancel(desk.store, MORNING)
    desk.work()
    assert aboard(desk.store) == {MORNING: [], NOON: [], EVENING: ["Ada", "Bob", "Eve"]}


def test_who_had_a_seat_when_the_flight_was_cancelled_is_rebooked_whenever_that_is_read(desk: Desk) -> None:
    prepare(desk.store)
    release(desk.store, MORNING, "Eve")
    cancel(desk.store, MORNING)
    book(desk.store, MORNING, "Eve")
    desk.work()
    assert aboard(desk.store) == {MORNING: ["Eve"], NOON: ["Ada", "Bob"], EVENING: []}


def test_a_cancellation_from_before_the_desk_opened_is_not_reacted_to(mail: Mail) -> None:
    old = MemoryEventStore()
    prepare(old)
    cancel(old, MORNING)
    for reactor in reactors(old, rebooking(old, Target("mail", mail.send)), lambda *_: None):
        react(old, reactor, MemoryModel(reactor.mark))
    assert aboard(old)[MORNING] == ["Ada", "Bob", "Eve"]


def test_the_seat_on_a_later_flight_that_a_passenger_had_before_is_not_touched(desk: Desk, mail: Mail) -> None:
    prepare(desk.store, noon=3)
    book(desk.store, NOON, "Ada")
    cancel(desk.store, MORNING)
    mail.failure = UnknownPassengerError()
    desk.work()
    assert aboard(desk.store) == {MORNING: ["Ada", "Bob", "Eve"], NOON: ["Ada"], EVENING: []}


# Processes that are killed ------------------------------------------------------------------------------------------

CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("desk", {cases!r})
desk = sys.modules["desk"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(desk)
desk.work_until_killed({warehouse!r}, {kill_at})
"""


def work_until_killed(warehouse: str, kill_at: int) -> None:
    """What a process does: its `kill_at`-th commit of many streams (a saga's record) or letter is the last thing that happens, before or after it."""
    moments = iter(range(1, 1_000))

    def moment() -> None:
        if next(moments) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def send(passenger: str, departure: str, to: str, idempotency_key: str) -> None:
        moment()
        with open(f"{warehouse}/letters", "a") as letters:
            letters.write(f"{passenger}\t{to}\t{idempotency_key}\n")
        moment()

    with open_store(warehouse) as store:
        append_many = store.append_many

        def appending(*given: Any, **named: Any) -> Any:
            moment()
            answer = append_many(*given, **named)
            moment()
            return answer

        store.append_many = appending  # type: ignore[method-assign]
        for reactor in reactors(store, rebooking(store, Target("mail", send)), lambda *_: None):
            react(store, reactor, ReadModel.under(warehouse, reactor.mark))


def test_whoever_is_killed_wherever_each_passenger_is_rebooked_exactly_once(tmp_path: Path) -> None:
    warehouse = str(tmp_path)
    with open_store(warehouse, create=True) as store:
        for reactor in reactors(store, rebooking(store, Target("mail", print)), lambda *_: None):
            react(store, reactor, ReadModel.under(warehouse, reactor.mark))
        prepare(store)
        cancel(store, MORNING)
    # Where: a rebooking has begun; a seat is given back, a letter is sent, another seat is booked, none of them recorded yet; and so on.
    for kill_at in (3, 9, 4, 7, 2, 1, 10, 1_000):
        child = CHILD.format(cases=__file__, warehouse=warehouse, kill_at=kill_at)
        ended = subprocess.run([sys.executable, "-c", child], cwd=Path.cwd(), env={**os.environ, "PYTHONPATH": str(Path.cwd())}, check=False)
        assert ended.returncode == (0 if kill_at == 1_000 else -signal.SIGKILL)
    with open_store(warehouse) as store:
        assert aboard(store) == {MORNING: [], NOON: ["Ada", "Bob"], EVENING: ["Eve"]}
        for passenger in PASSENGERS:
            moves = [event.type for event in RecordedEvent.each(store.read_stream(f"passenger-{passenger}"))]
            assert moves == ["SeatBooked", "SeatBooked", "SeatReleased"]
        assert store.sql("select count(*) from events where type = 'SagaCompleted'").fetchall() == [(3,)]
    letters = [line.split("\t") for line in (tmp_path / "letters").read_text().splitlines()]
    assert {(passenger, to) for passenger, to, _ in letters} == {("Ada", NOON), ("Bob", NOON), ("Eve", EVENING)}
    assert len({key for *_, key in letters}) == 3 < len(letters)      # one was sent twice, under one key
