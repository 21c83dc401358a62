from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.flights import load as module
from pipelines.flights.load import load, load_flights, missing
from store import Event, MemoryEventStore, TableAppended


class Interrupted(MemoryEventStore):
    """Loses power before its second append."""

    appends = 0

    def append_table(self, events: pa.Table) -> TableAppended:
        self.appends += 1
        if self.appends == 2:
            raise KeyboardInterrupt
        return super().append_table(events)


def test_the_history_is_appended_in_its_order(blizzard: pa.Table, loaded: MemoryEventStore) -> None:
    recorded = loaded.read_all().read_all()
    assert recorded["event_id"].equals(blizzard["event_id"])
    assert recorded["occurred_at"].equals(blizzard["occurred_at"])
    assert recorded["data"].equals(blizzard["data"])


def test_loading_again_loads_nothing(blizzard: pa.Table) -> None:
    store, sample = MemoryEventStore(), blizzard.slice(0, 500)
    first, again = load(store, sample), load(store, sample)
    assert (first.events, first.already_there) == (500, 0)
    assert (again.events, again.already_there) == (0, 500)
    assert store.head() == 500


def test_an_interrupted_load_resumes(blizzard: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_EVENTS", 200)
    store, sample = Interrupted(), blizzard.slice(0, 500)
    with pytest.raises(KeyboardInterrupt):
        load(store, sample)
    assert store.head() == 200
    done = load(store, sample)
    assert (done.events, done.already_there) == (300, 200)
    assert store.read_all().read_all()["event_id"].equals(sample["event_id"])


def test_events_of_others_are_neither_counted_nor_disturbed(blizzard: pa.Table) -> None:
    store, sample = MemoryEventStore(), blizzard.slice(0, 100)
    store.append("aircraft-N14228", [Event("FlightDeparted", {"carrier": "UA"})])
    assert load(store, sample).events == 100
    assert store.head() == 101
    assert missing(store, sample).num_rows == 0


def test_progress_is_told_from_where_it_stands(blizzard: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_EVENTS", 200)
    store, told = MemoryEventStore(), list[tuple[int, int]]()
    load(store, blizzard.slice(0, 100))
    load(store, blizzard.slice(0, 500), lambda done, total: told.append((done, total)))
    assert told == [(100, 500), (300, 500), (500, 500)]


def test_the_year_is_what_load_flights_loads(history: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a store that only counts: the fake would take minutes."""

    class Counting(MemoryEventStore):
        rows = 0

        def append_table(self, events: pa.Table) -> TableAppended:
            self.rows += len(events)
            return TableAppended(self.rows - len(events) + 1, self.rows)

    store = Counting()
    assert load_flights(store).events == store.rows == len(history) == 1_002_790
