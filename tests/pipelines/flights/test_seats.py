from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines.flights.events import SeatsOffered, flight_types
from pipelines.flights.seats import Seats, SoldOutError, book, of, seats
from store import MemoryEventStore, load_query

DEPARTURE = "2013-02-04-B6-1-JFK"


def test_two_seats_go_to_two_of_many_bookers() -> None:
    def wish(number: int) -> bool:
        try:
            book(store, DEPARTURE, f"passenger {number}")
        except SoldOutError:
            return False
        return True

    with MemoryEventStore() as store, ThreadPoolExecutor(8) as pool:
        store.append("offer-1", [flight_types.event(SeatsOffered(DEPARTURE, 2)), flight_types.event(SeatsOffered("another", 9))])
        assert sum(pool.map(wish, range(20))) == 2
        assert len(load_query(store, seats, of(DEPARTURE)).state.passengers) == 2


def test_who_has_a_seat_gets_no_second_one() -> None:
    with MemoryEventStore() as store:
        store.append("offer-1", [flight_types.event(SeatsOffered(DEPARTURE, 1))])
        book(store, DEPARTURE, "Ada")
        assert book(store, DEPARTURE, "Ada").state == Seats(1, frozenset({"Ada"}))
        assert store.stream_version("passenger-Ada") == 1


def test_what_was_not_offered_is_sold_out() -> None:
    with MemoryEventStore() as store, pytest.raises(SoldOutError, match="all 0 seats"):
        book(store, DEPARTURE, "Ada")
